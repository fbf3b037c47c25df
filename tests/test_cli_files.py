"""Commands for LiteRT files, and JSON."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from litert_by_hand import write_dense

from keras_netopt import cli, quantization
from keras_netopt.cli.inspect_command import parse_shape


@pytest.fixture
def path(tmp_path):
    """A file that returns its input of two numbers."""
    return str(write_dense(tmp_path / "m.tflite", np.eye(2), [0, 0]))


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return str(tmp_path / "data.npz")

    return save


@pytest.fixture
def fails(capsys):
    """Runs a command that must end in one line of error."""

    def run(*arguments):
        assert cli.main(list(arguments)) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err.removeprefix("keras-netopt: error: ")

    return run


def test_inspect_of_a_file(path, capsys):
    assert cli.main(["inspect", path]) == 0
    out = capsys.readouterr().out
    assert "FULLY_CONNECTED" in out
    assert "weights 24 (" in out
    assert cli.main(["inspect", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["inputs"][0]["shape"] == [None, 2]
    assert found["breakdown"]["weights"] == 24
    assert found["activation_bytes"] == 32
    assert "32 on a microcontroller" in out


def test_inspect_of_a_file_takes_no_shape(path, fails):
    assert "--input-shape" in fails("inspect", path, "--input-shape", "1,2")


def test_inspect_of_a_file_with_advice(path, capsys):
    cli.main(["inspect", path, "--target", "browser"])
    out, err = capsys.readouterr()
    assert f'Advice for "{path}" on browser' in out
    assert 'target="web"' in out
    assert err == ""
    cli.main(["inspect", path, "--target", "x86", "--measure", "--json"])
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["advice"]["target"] == "x86"
    assert found["breakdown"]["weights"] == 24


def test_inspect_of_a_model_with_advice(tmp_path, make_mlp, capsys):
    path = str(tmp_path / "m.keras")
    make_mlp().save(path)
    cli.main(["inspect", path, "--target", "arm"])
    out, err = capsys.readouterr()
    assert "on arm" in out
    assert "Cost of" in out
    assert err == ""
    cli.main(["inspect", path, "--target", "gpu", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"cost", "sparsity", "advice"}
    assert found["advice"]["findings"][0]["code"]


@pytest.mark.backend("tensorflow")
def test_inspect_tells_what_it_measures(tmp_path, make_mlp, capsys):
    path = str(tmp_path / "m.keras")
    make_mlp().save(path)
    cli.main(["inspect", path, "--target", "browser", "--measure"])
    out, err = capsys.readouterr()
    assert "advise: writing the dynamic file" in err
    assert "dynamic file: " in out


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.98])
def test_inspect_of_a_truncated_model_is_one_line(
    tmp_path, make_mlp, fails, kept
):
    path = tmp_path / "m.keras"
    make_mlp().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    message = fails("inspect", str(path), "--target", "x86")
    assert "cannot be loaded as a Keras model: the file is damaged" in message


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9])
def test_inspect_of_a_truncated_file_is_one_line(path, fails, kept):
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: int(kept * len(content))])
    assert "LiteRT" in fails("inspect", path, "--target", "browser")


def test_inspect_of_a_model_at_a_shape(tmp_path, capsys):
    model = keras.Sequential(
        [keras.Input((None, 4)), keras.layers.Conv1D(2, 3, name="conv")]
    )
    path = str(tmp_path / "m.keras")
    model.save(path)
    cli.main(["inspect", path])
    assert "Not counted: conv" in capsys.readouterr().out
    cli.main(["inspect", path, "--json", "--input-shape", "?,10,4"])
    found = json.loads(capsys.readouterr().out)
    assert found["cost"]["macs"] == 8 * 3 * 4 * 2
    assert set(found) == {"cost", "sparsity"}


def test_inspect_at_the_shapes_of_two_inputs(tmp_path, capsys):
    inputs = [keras.Input((None, 4)) for _ in range(2)]
    model = keras.Model(inputs, [keras.layers.Dense(2)(x) for x in inputs])
    path = str(tmp_path / "m.keras")
    model.save(path)
    shapes = ["--input-shape", "1,3,4", "--input-shape", "1,5,4"]
    cli.main(["inspect", path, "--json", *shapes])
    found = json.loads(capsys.readouterr().out)
    assert found["cost"]["macs"] == (3 + 5) * 4 * 2


def test_shapes_are_parsed():
    assert parse_shape("?,224,3") == (None, 224, 3)
    assert parse_shape("(None, 10)") == (None, 10)
    assert parse_shape("(7,)") == (7,)
    for bad in ("", "a,1", "1,,2", "0,1", "1x2"):
        with pytest.raises(Exception, match="a shape is numbers"):
            parse_shape(bad)


def test_evaluate_prints_the_accuracy(path, save, capsys):
    x = np.array([[1, 0], [1, 0], [0, 1], [0, 1.0]])
    data = save(x=x, y=[0, 0, 1, 0])
    assert cli.main(["evaluate", path, "--data", data]) == 0
    assert "0.7500" in capsys.readouterr().out
    assert cli.main(["evaluate", path, "--data", data, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"] == {"output_0": {"accuracy": 0.75}}
    data = save(images=x, **{"y:output_0": x + 1.0})
    metrics = ["--metric", "mse", "--metric", "mae", "--batch-size", "3"]
    assert cli.main(["evaluate", path, "--data", data, *metrics]) == 0
    assert capsys.readouterr().out.count("1.0000") == 2


def test_evaluate_names_what_is_missing(path, save, fails, tmp_path):
    x = np.zeros((2, 2))
    for arrays in ({"x": x}, {"y": [0, 1]}, {"a": x, "b": x}):
        message = fails("evaluate", path, "--data", save(**arrays))
        assert "np.savez(path, x=x, y=y)" in message
    data = save(x=x, y=[0, 2])
    assert "from 0 to 1" in fails("evaluate", path, "--data", data)
    assert "no file" in fails("evaluate", "m.tflite", "--data", data)
    assert "no file" in fails("evaluate", path, "--data", "none.npz")
    assert "mme" in fails("evaluate", path, "--data", data, "--metric", "mme")


def test_c_array_writes_a_header(path, tmp_path, capsys, fails):
    target = str(tmp_path / "m.h")
    assert cli.main(["c-array", path, target]) == 0
    assert capsys.readouterr().out == (
        f"{target}: array `m`, its length in bytes `m_len`\n"
    )
    assert "overwrite=True" in fails("c-array", path, target)
    options = ["--name", "g_model", "--overwrite"]
    assert cli.main(["c-array", path, target, *options]) == 0
    with open(target) as file:
        assert "g_model[" in file.read()


def test_inspect_of_a_model_on_a_grid_shows_its_bits(tmp_path, capsys):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    path = str(tmp_path / "m.keras")
    model.save(path)
    cli.main(["inspect", path])
    assert "Quantization of" not in capsys.readouterr().out
    quantization.quantize(model, bits=4)
    model.save(path)
    cli.main(["inspect", path])
    assert "Quantization of" in capsys.readouterr().out
    cli.main(["inspect", path, "--json"])
    (row,) = json.loads(capsys.readouterr().out)["quantization"]["rows"]
    assert row["bits"] == 4
