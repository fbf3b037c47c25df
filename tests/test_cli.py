import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from export.conftest import InThisProcess

from keras_netopt import __version__, cli, demo, export, registry
from keras_netopt.cli import methods_command
from keras_netopt.export import litert_writer
from keras_netopt.quantization import ActivationRanges

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


PROJECT = os.path.join(os.path.dirname(__file__), "search/projects/stopped")


@pytest.fixture
def model_path(tmp_path, make_mlp):
    model = make_mlp()
    hidden = model.get_layer("hidden")
    kernel, bias = hidden.get_weights()
    kernel[:4] = 0.0
    hidden.set_weights([kernel, bias])
    path = tmp_path / "model.keras"
    model.save(path)
    return str(path)


@pytest.fixture
def fails(capsys):
    """Runs a command that must end in one line of error."""

    def run(*arguments):
        status = cli.main(list(arguments))
        out, err = capsys.readouterr()
        assert (status, out) == (2, "")
        assert err.startswith("keras-netopt: error: ")
        assert err.count("\n") == 1
        return err.removeprefix("keras-netopt: error: ").rstrip()

    return run


def test_methods_lists_every_row(capsys):
    assert cli.main(["methods"]) == 0
    out = capsys.readouterr().out
    for row in registry.METHODS:
        assert row.name in out
        assert row.summary in out


def test_every_kind_of_the_registry_is_listed():
    assert {row.kind for row in registry.METHODS} <= set(methods_command.KINDS)


def test_methods_of_one_kind(capsys):
    assert cli.main(["methods", "--kind", "callback"]) == 0
    out = capsys.readouterr().out
    assert "callbacks.Pruning" in out
    assert "sparsity.prune" not in out


@pytest.mark.parametrize(
    "name", ["LearningRateFinder", "callbacks.learningratefinder"]
)
def test_methods_shows_the_usage_of_one(capsys, name):
    assert cli.main(["methods", name]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# Learning rate")
    assert "netopt.callbacks.LearningRateFinder()" in out
    assert "## How it works" not in out


def test_every_card_has_a_usage(capsys):
    for card in {row.card for row in registry.METHODS if row.card}:
        assert cli.main(["methods", card]) == 0
        assert "```python" in capsys.readouterr().out


def test_methods_of_an_unknown_name_lists_the_nearest(fails):
    assert fails("methods", "prunning") == (
        "There is no method or card 'prunning'. Nearest: pruning, "
        "channelpruning, prune. `keras-netopt methods` lists all of them."
    )


@pytest.mark.no_backend
def test_light_commands_import_no_keras():
    commands = [
        ["--version"],
        ["--help"],
        ["methods"],
        ["methods", "pruning"],
        ["trials", PROJECT],
    ]
    code = (
        "import sys\n"
        "from keras_netopt.cli import main\n"
        "heavy = ('tensorflow', 'keras', 'keras_tuner')\n"
        f"for arguments in {commands}:\n"
        "    try: main(arguments)\n"
        "    except SystemExit: pass\n"
        "    print([name for name in heavy if name in sys.modules], arguments)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
    for arguments in commands:
        assert f"\n[] {arguments}\n" in result.stdout


def test_inspect_shows_cost_and_sparsity(model_path, capsys):
    assert cli.main(["inspect", model_path]) == 0
    out = capsys.readouterr().out
    assert 'Cost of "' in out
    assert "50.0%" in out


def test_inspect_leaves_the_file_alone(model_path):
    with open(model_path, "rb") as file:
        before = file.read()
    cli.main(["inspect", model_path])
    with open(model_path, "rb") as file:
        assert file.read() == before


def test_trials_writes_a_page(capsys, tmp_path):
    pytest.importorskip("plotly", reason="needs keras-netopt[report]")
    page = tmp_path / "report.html"
    assert cli.main(["trials", PROJECT, "--html", str(page)]) == 0
    assert str(page) in capsys.readouterr().out
    assert "Parallel coordinates" in page.read_text(encoding="utf-8")


def test_trials_shows_the_best_first(capsys, tmp_path):
    table = tmp_path / "trials.csv"
    arguments = ["trials", PROJECT, "--top", "2", "--csv", str(table)]
    assert cli.main([*arguments, "--plots", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("stopped: 9 trials, 3 complete;")
    assert out.endswith("7 trials more.\n")
    assert len(table.read_text().splitlines()) == 10
    assert (tmp_path / "out" / "tables.txt").exists()


def test_trials_of_what_is_no_project_is_one_line(fails, tmp_path):
    assert "it is empty" in fails("trials", str(tmp_path))


def test_missing_model_is_one_line(fails):
    assert fails("inspect", "nowhere.keras") == "there is no file nowhere.keras"


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04broken"])
def test_file_that_is_no_model_is_one_line(fails, tmp_path, content):
    path = tmp_path / "other.keras"
    path.write_bytes(content)
    message = fails("inspect", str(path))
    assert message.startswith(f"{path} cannot be loaded as a Keras model: ")
    assert "not found" not in message


def test_model_with_unknown_classes_names_the_remedy(fails, tmp_path):
    class Unknown(keras.layers.Layer):
        def call(self, x):
            return x

    path = str(tmp_path / "custom.keras")
    keras.Sequential([keras.Input((2,)), Unknown()]).save(path)
    message = fails("inspect", path)
    assert message == (
        f"{path} cannot be loaded as a Keras model: Could not locate class "
        "'Unknown'. (A model with custom classes loads only where they are "
        "imported: use the Python functions there.)"
    )


# LiteRT files need TensorFlow.
if ON_TENSORFLOW:

    def test_export_writes_a_file_and_its_report(
        model_path, tmp_path, capsys, monkeypatch
    ):
        monkeypatch.setattr(litert_writer, "ConverterProcess", InThisProcess)
        data = np.random.default_rng(0).random((20, 8), "float32")
        np.savez(tmp_path / "data.npz", data)
        target = tmp_path / "model.tflite"
        options = ["--calibration-data", str(tmp_path / "data.npz")]
        arguments = ["export", model_path, str(target), "--quantize", "int8"]
        assert cli.main([*arguments, *options]) == 0
        out = capsys.readouterr().out
        assert f"{target.stat().st_size:,}" in out
        assert "int8" in out


def test_export_hands_its_options_over(
    model_path, tmp_path, monkeypatch, capsys
):
    calls = []

    class Report:
        warnings = ("look here",)

    def record(model, path, **options):
        calls.append((type(model).__name__, path, options))
        return Report()

    monkeypatch.setattr(export, "to_litert", record)
    arguments = ["export", model_path, "m.tflite"]
    assert cli.main([*arguments, "--sparse"]) == 0
    options = ["--quantize", "float16", "--overwrite"]
    assert cli.main([*arguments, *options]) == 0
    files = [str(tmp_path / name) for name in ("one.npy", "two.npz")]
    np.save(files[0], [1.0, 2.0])
    np.savez(files[1], a=[1.0], b=[2.0])
    for file in files:
        cli.main([*arguments, "--calibration-data", file])
    one, two = (call[2].pop("calibration_data") for call in calls[2:])
    assert one.tolist() == [1.0, 2.0]
    assert two == {"a": [1.0], "b": [2.0]}
    base = {"quantize": None, "calibration_data": None, "target": None}
    flags = ("sparse", "overwrite", "quantized_io", "compact")
    off = dict.fromkeys(flags, False)
    assert calls[:2] == [
        ("Sequential", "m.tflite", base | off | {"sparse": True}),
        (
            "Sequential",
            "m.tflite",
            base | off | {"quantize": "float16", "overwrite": True},
        ),
    ]
    cli.main([*arguments, "--quantized-io", "--compact"])
    assert calls[-1][2] == base | off | {"quantized_io": True, "compact": True}
    cli.main([*arguments, "--quantized-io", "uint8", "--target", "web"])
    given = {"quantized_io": "uint8", "target": "web"}
    assert calls[-1][2] == base | off | given
    err = capsys.readouterr().err
    assert err == "keras-netopt: warning: look here\n" * 6


def test_export_of_a_model_file_with_trained_ranges_needs_no_data(
    model_path, tmp_path, monkeypatch
):
    model = keras.saving.load_model(model_path, compile=False)
    ranges = ActivationRanges.attach(model)
    values = np.tile([0.0, 3.0], (len(ranges.places), 1))
    ranges.assign(values)
    model.save(tmp_path / "ranged.keras")
    found = []

    class Report:
        warnings = ()

    def record(model, path, **options):
        found.append(ActivationRanges.of(model).values())
        return Report()

    monkeypatch.setattr(export, "to_litert", record)
    arguments = ["export", str(tmp_path / "ranged.keras"), "m.tflite"]
    assert cli.main([*arguments, "--quantize", "int8"]) == 0
    np.testing.assert_array_equal(found, [values])


def test_export_int8_without_data_names_the_remedy(fails, model_path, tmp_path):
    target = str(tmp_path / "model.tflite")
    assert fails("export", model_path, target, "--quantize", "int8") == (
        "--quantize int8 measures the range of each activation on real "
        "inputs: add --calibration-data samples.npy, or use --quantize "
        "dynamic, which needs none."
    )


def test_export_data_of_another_kind_is_one_line(fails, model_path, tmp_path):
    path = tmp_path / "data.npy"
    path.write_text("1,2,3")
    target = str(tmp_path / "model.tflite")
    assert fails(
        "export", model_path, target, "--calibration-data", str(path)
    ) == (
        f"{path} is not a .npy or .npz file of arrays, or is damaged "
        "(ValueError). Save the arrays again."
    )


def test_export_to_another_ending_is_one_line(fails, model_path, tmp_path):
    target = str(tmp_path / "model.bin")
    assert ".tflite" in fails("export", model_path, target)


def test_demo_hands_its_options_over(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(demo, "run", lambda *a, **k: calls.append((a, k)))
    assert cli.main(["demo", "--out", "there", "--epochs", "3"]) == 0
    assert cli.main(["demo", "--quick"]) == 0
    assert calls == [
        (("there",), {"epochs": 3, "quick": False}),
        (("demo-output",), {"epochs": None, "quick": True}),
    ]


def test_demo_into_a_file_is_one_line(fails, tmp_path):
    path = tmp_path / "file"
    path.touch()
    assert str(path) in fails("demo", "--out", str(path))


def test_interrupt_is_no_traceback(monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "keras-netopt: interrupted\n"


def test_own_faults_keep_their_traceback(monkeypatch):
    def faulty(*arguments, **options):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(demo, "run", faulty)
    with pytest.raises(RuntimeError, match="^a fault of ours$"):
        cli.main(["demo"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "the following arguments are required: command"),
        (["shrink"], "invalid choice: 'shrink'"),
        (["export", "a.keras"], "the following arguments are required: output"),
        (["export", "a", "b", "--quantize", "int3"], "invalid choice: 'int3'"),
        (["demo", "--epochs", "many"], "invalid int value: 'many'"),
    ],
)
def test_wrong_usage_ends_with_status_two(arguments, text, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    assert text in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"keras-netopt {__version__}\n"


def test_module_runs_as_the_program():
    result = subprocess.run(
        [sys.executable, "-m", "keras_netopt", "methods", "--kind", "callback"],
        # A terminal without box characters must not end in a traceback.
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "callbacks.Pruning" in result.stdout
