"""The demo on few images; its accuracy is no test."""

import contextlib
import io
import re
import sys

import keras
import pytest

from keras_netopt import cost, demo
from keras_netopt.demo import litert_files
from keras_netopt.demo.demo_model import DemoData, DemoModel, build_model

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


def build_small():
    """Two layers in place of the demo's CNN."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10),
    ]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


@pytest.fixture(
    scope="module",
    params=[build_small, pytest.param(build_model, marks=pytest.mark.slow)],
)
def result(request, tmp_path_factory):
    """What a quick run returns, prints and writes."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()) as printed,
    ):
        patch.setattr(demo, "build_model", request.param)
        patch.setattr(litert_files, "VERIFIED", 16)
        arms = demo.run(folder, quick=True)
    return arms, printed.getvalue(), folder


def test_arms_have_the_sparsity_they_are_named_for(result):
    arms, _, _ = result
    assert [arm.name for arm in arms] == ["dense", "80 % zeros", "90 % zeros"]
    total = arms[0].total
    kernels = total - {50_890: 64 + 10, 108_618: 16 + 32 + 128 + 10}[total]
    for arm, share in zip(arms, (0.0, 0.8, 0.9), strict=True):
        assert arm.total == total
        zeros = arm.total - arm.nonzero
        assert abs(zeros - share * kernels) <= 10
        assert bool(arm.zeros) == (share > 0)


def test_all_arms_start_from_one_model_and_train_equally_long(result):
    _, printed, _ = result
    epochs = re.findall(r"(\d+) epochs", printed)
    assert epochs == ["1"] * 4
    lines = [line for line in printed.splitlines() if "val_loss" in line]
    assert len(lines) == 4
    assert len([line for line in lines if "sparsity" in line]) == 2
    first, control, *_ = (
        float(re.search(r" loss: ([\d.]+)", line)[1]) for line in lines
    )
    assert control < 0.8 * first


def test_progress_is_numbered(result):
    _, printed, _ = result
    count = 8 if ON_TENSORFLOW else 4
    progress = re.findall(r"^\[(\d+)/(\d+)\]", printed, flags=re.MULTILINE)
    assert progress == [(str(i + 1), str(count)) for i in range(count)]


def test_the_table_and_the_folder_are_printed_last(result):
    _, printed, folder = result
    assert "Fashion-MNIST, 600 held-out images, one seed" in printed
    assert f"Plot: {folder / 'demo.png'}" in printed
    assert (folder / "demo.png").stat().st_size > 10_000


if ON_TENSORFLOW:  # Which writes LiteRT files.

    def test_files_shrink_as_the_table_says(result):
        arms, printed, folder = result
        names = {path.name for path in folder.glob("*.tflite")}
        assert names == {
            *("dense.tflite", "80.tflite", "90.tflite"),
            *("dense-int8.tflite", "80-int8.tflite", "90-int8.tflite"),
        }
        dense, _, sparse = arms
        plain = dense.files["float32"].size
        assert sparse.files["float32"].size.raw < 0.25 * plain.raw
        assert sparse.files["float32"].float_size.raw == plain.raw
        assert sparse.files["int8"].size.raw < 0.3 * plain.raw
        assert sparse.files["int8"].size.gzip < 0.1 * plain.gzip
        written = (folder / "90.tflite").stat().st_size
        assert f"{written:,} (" in printed
        for arm in arms:
            assert arm.files["float32"].max_abs_diff < 1e-4
            assert arm.files["int8"].latency.rounds == 200

else:

    def test_other_backends_name_what_is_missing(result):
        arms, printed, folder = result
        assert printed.startswith(
            "LiteRT files take five CPU seconds more each on the "
            f"{keras.backend.backend()} backend: sizes and latencies are "
            "omitted. Remedy: KERAS_BACKEND=tensorflow\n"
        )
        assert not list(folder.glob("*.tflite"))
        assert "latency" not in printed


def test_missing_matplotlib_prints_one_line(tmp_path, monkeypatch, capsys):
    from keras_netopt.demo import comparison

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    arm = DemoModel(
        "80 % zeros", 0.9, 0.01, 40, 50, zeros={"dense/kernel": 0.8}
    )
    comparison.write_plot([arm], tmp_path)
    assert capsys.readouterr().out == (
        "No plot: Plots require matplotlib. Install it with: "
        'pip install "keras-netopt[plots]"\n'
    )


def test_a_layer_is_large_enough_for_int8():
    costs = cost.summarize(build_model())
    assert costs.params == 108_618
    assert max(layer.params for layer in costs.layers) >= 64_000


def test_data_are_scaled():
    data = DemoData.load()
    assert (data.x_train.min(), data.x_train.max()) == (0.0, 1.0)
    assert data.x_train.shape == (6000, 28, 28, 1)
    assert data.x_test.shape == (1000, 28, 28, 1)


def test_no_epochs_raise(tmp_path):
    message = "Argument `epochs` must be at least 1. Received: epochs=0"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        demo.run(tmp_path / "out", epochs=0)
    assert not (tmp_path / "out").exists()
