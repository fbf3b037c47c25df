"""Export on JAX and torch, through a process with the TensorFlow backend.

One real process serves the whole file.
"""

import contextvars
import subprocess

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt import surgery
from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import (
    ExportError,
    converter_program,
    kept_process,
    to_litert,
)
from keras_netopt.export.converter_process import ConverterProcess
from keras_netopt.export.kept_process import find_kept_process, keep_process

pytestmark = pytest.mark.backend("jax", "torch")


def shifted_relu(x):
    return keras.ops.relu(x - 0.1)


def build_model():
    """A class that no module holds, a function, an edited layer."""

    @keras.saving.register_keras_serializable("tests")
    class Gain(layers.Layer):
        def build(self, shape):
            self.gain = self.add_weight(shape=(shape[-1],), name="gain")

        def call(self, x):
            return x * self.gain

    inputs = keras.Input((6,), name="x")
    x = layers.Dense(16, activation="relu", name="hidden")(inputs)
    x = Gain()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dense(8, activation=shifted_relu)(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.uniform(0.1, 0.6, variable.shape))
    surgery.prune_channels(model, 0.25, include="hidden")
    return model


class Recorded(subprocess.Popen):
    started = []

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.started.append(self)


def export_two(model, other, folder, data):
    with keep_process():
        report = to_litert(
            model,
            folder / "m.tflite",
            quantize="int8",
            calibration_data=data,
            quantized_io="uint8",
        )
        second = to_litert(other, folder / "o.tflite", target="web")
        assert second.max_abs_diff < 1e-5
        assert second.inputs[0].shape == (1, 4)
        assert Recorded.started[0].poll() is None
    return report


@pytest.fixture(scope="module")
def exported(tmp_path_factory, tiny):
    """The model, its weights before, the report of its int8 file, inputs."""
    model = build_model()
    before = [
        np.array(v) for v in map(keras.ops.convert_to_numpy, model.weights)
    ]
    folder = tmp_path_factory.mktemp("exported")
    data = np.random.default_rng(1).uniform(-1, 1, (40, 6)).astype("float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Recorded)
        # The process that other tests share is unknown in a new context.
        report = contextvars.Context().run(
            export_two, model, tiny, folder, data
        )
    return model, before, report, data


def test_one_process_converts_and_calibrates_two_models(exported):
    assert len(Recorded.started) == 1
    assert Recorded.started[0].poll() is not None


def test_file_has_the_outputs_of_this_backend(exported):
    model, _, report, data = exported
    answer = TfliteModel(report.path).run(data)["output_0"]
    wanted = keras.ops.convert_to_numpy(model(data, training=False))
    assert np.abs(wanted).max() > 0.5
    gaps = np.abs(answer - wanted).max(axis=1)
    # What is beyond the range of the samples that calibrated is clipped.
    assert np.quantile(gaps, 0.9) < 0.05 * np.abs(wanted).max()
    assert report.verification.samples == 20
    assert np.abs(gaps - report.max_abs_diff).min() < 1e-5


def test_report_is_that_of_tensorflow(exported):
    _, _, report, _ = exported
    assert report.inputs[0].name == "x"
    assert report.inputs[0].shape == (None, 6)
    assert report.inputs[0].dtype == report.outputs[0].dtype == "uint8"
    assert report.float_size.raw != report.size.raw
    assert report.latency is not None and not report.needs_flex
    assert report.notes == ()


def test_model_and_folder_are_left_as_they_were(exported):
    model, before, report, _ = exported
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, keras.ops.convert_to_numpy(new))
    with pytest.raises(FileExistsError):
        to_litert(model, report.path)


def test_code_of_one_backend_is_refused_with_the_remedy(tmp_path, monkeypatch):
    """The process need not be real: it says what Keras said in one."""

    def fail(self, job):
        raise RuntimeError(
            "<class 'Net'> could not be deserialized properly.\n\nconfig={}.\n"
            "\nException encountered: \x1b[1mno jax\nhere.\x1b[0m"
        )

    monkeypatch.setattr(ConverterProcess, "_run", fail)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    with pytest.raises(ExportError) as error:
        to_litert(model, tmp_path / "m.tflite")
    assert str(error.value) == (
        f"On the {keras.backend.backend()} backend a model is exported from a "
        "copy that is rebuilt under TensorFlow, and this model could not be "
        "rebuilt: RuntimeError: no jax here. Its classes must have a complete "
        "`get_config`, create all weights in `__init__` or `build`, and "
        "compute with `keras.ops`."
    )
    assert list(tmp_path.iterdir()) == []


def test_process_that_died_or_was_interrupted_is_replaced(monkeypatch):
    started = []

    class Process:
        is_idle = True

        def __init__(self, rebuilds):
            started.append(self)

        def __exit__(self, *error):
            self.is_closed = True

    monkeypatch.setattr(kept_process, "ConverterProcess", Process)
    context = contextvars.Context()
    context.run(use_kept_process, started)


def use_kept_process(started):
    with keep_process():
        for _ in range(2):
            with find_kept_process(True) as first:
                assert first is started[0]
        first.is_idle = False
        with find_kept_process(True) as second:
            assert second is started[1] is not first
        assert first.is_closed
    assert second.is_closed
    assert find_kept_process(True) is None


def test_process_that_dies_is_an_error_with_the_remedy(tmp_path, monkeypatch):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\nsys.stdin.readline()\nsys.stdin.readline()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setattr(converter_program, "__file__", str(program))
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    with pytest.raises(ExportError) as error:
        contextvars.Context().run(to_litert, model, tmp_path / "m.tflite")
    assert str(error.value) == (
        "The process of the converter, quantize=None, ended by signal SIGKILL "
        "(usual if memory runs out) while it loaded TensorFlow. This process "
        "and the model are not affected. Save the model with "
        '`model.save("model.keras")`, load it in a program with '
        "KERAS_BACKEND=tensorflow and export it there."
    )
    assert list(tmp_path.iterdir()) == [program]
