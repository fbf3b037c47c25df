"""Conversion by litert-torch, an optional package, in this process.

One conversion serves the whole file.
"""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import ExportError, to_litert

pytest.importorskip("litert_torch")
pytestmark = [
    pytest.mark.backend("torch"),
    # Of the converter, and of torch while the converter imports it.
    pytest.mark.filterwarnings("ignore"),
]
DATA = np.random.default_rng(1).uniform(-2, 2, (24, 6, 6, 3)).astype("float32")


def build_model():
    """Two named inputs, two outputs, statistics, a layer of torch's own."""
    import torch

    image = keras.Input((6, 6, 3), name="image")
    shift = keras.Input((8,), name="a-shift")
    x = layers.Conv2D(8, 3, activation="relu")(image)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.GlobalAveragePooling2D()(x) + shift
    linear = torch.nn.Linear(8, 160)
    y = layers.TorchModuleWrapper(linear, output_shape=(None, 160))(x)
    outputs = {"wide": y, "head": layers.Dense(4)(x)}
    return keras.Model({"image": image, "a-shift": shift}, outputs)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The model, its int8 file's report, what was printed, and the inputs."""
    model = build_model()
    folder = tmp_path_factory.mktemp("exported")
    x = {"image": DATA, "a-shift": DATA[:, 0, 0, :1] * np.ones(8, "float32")}
    model.get_layer("dense").train()
    pytest.importorskip("jax").config.update("jax_enable_x64", False)
    report = to_litert(
        model,
        folder / "m.tflite",
        converter="litert_torch",
        quantize="int8",
        calibration_data=x,
    )
    return model, report, x


def test_file_computes_as_the_model(exported):
    model, report, x = exported
    wanted = model(x, training=False)
    one = {"image": x["image"][:1], "a_shift": x["a-shift"][:1]}
    found = TfliteModel(report.path).run(one)
    assert set(found) == {"wide", "head"}
    for name, value in found.items():
        expected = keras.ops.convert_to_numpy(wanted[name])
        limit = 0.05 * np.abs(expected).max()
        np.testing.assert_allclose(value, expected[:1], atol=limit)
    assert report.max_abs_diff > 0
    assert report.breakdown.weights < 0.4 * report.float_size.raw


def test_report_tells_the_fixed_batch(exported):
    _, report, _ = exported
    assert report.notes == (
        "converter='litert_torch': exported with a fixed batch of 1",
    )
    shapes = {tensor.name: tensor.shape for tensor in report.inputs}
    assert shapes == {"image": (1, 6, 6, 3), "a_shift": (1, 8)}
    assert {tensor.dtype for tensor in report.inputs} == {"float32"}


def test_state_of_model_and_jax_is_left_as_it_was(exported):
    model, _, _ = exported
    assert model.get_layer("dense").training
    assert next(iter(model.parameters())).requires_grad
    jax = pytest.importorskip("jax")
    assert not jax.config.jax_enable_x64


def test_free_axes_need_a_signature(tmp_path):
    model = keras.Sequential([keras.Input((None, 4)), layers.Dense(2)])
    with pytest.raises(ValueError) as error:
        to_litert(model, tmp_path / "m.tflite", converter="litert_torch")
    assert str(error.value) == (
        "Argument `input_signature` must be given: converter='litert_torch' "
        "requires axes of known length. Received: an input of shape "
        "(None, None, 4). Pass e.g. "
        "`input_signature=[keras.InputSpec(shape=(1, 20, 8))]`."
    )


def test_refused_model_is_an_error_with_the_remedy(tmp_path):
    class Odd(layers.Layer):
        def call(self, x):
            return x * float(keras.ops.convert_to_numpy(x).max())

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    model = keras.Sequential([keras.Input((4,)), Odd()])
    with pytest.raises(ExportError) as error:
        to_litert(model, tmp_path / "m.tflite", converter="litert_torch")
    assert str(error.value).startswith("litert-torch refused the model: ")
    assert str(error.value).endswith(
        " Pass converter='tensorflow', which converts more layers."
    )
    assert list(tmp_path.iterdir()) == []
