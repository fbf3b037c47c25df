"""Files with trained activation ranges."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel, list_scales
from keras_netopt.export import to_litert
from keras_netopt.export.trained_ranges import check_converter
from keras_netopt.quantization import (
    ActivationRanges,
    quantize,
    remove_ranges,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8, 8, 3)).astype("float32")
Y = RNG.integers(0, 4, 64)


def build():
    """The chains that LiteRT fuses, and an op that it does not quantize."""
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(y)]))
    x = layers.MaxPooling2D()(x)
    side = layers.Conv2D(2, 1, activation="swish")(x)
    x = layers.Concatenate()([layers.Conv2D(3, 1)(x), side])
    x = layers.GlobalAveragePooling2D()(layers.Dropout(0.1)(x))
    return keras.Model(inputs, layers.Dense(4)(x))


def train(model, x=X, y=Y, epochs=2):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss)
    ActivationRanges.attach(model)
    model.fit(x, y, batch_size=16, epochs=epochs, verbose=0)
    quantize(model, 8)
    return model


@pytest.fixture(scope="module")
def model():
    """Tests must not change it."""
    keras.utils.set_random_seed(0)
    return train(build())


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("ranges") / "m.tflite"
    return to_litert(model, path, quantize="int8"), path


def run(path, x=X):
    return next(iter(TfliteModel(path).run(x).values()))


def test_trained_ranges_are_the_scales_without_calibration(model, exported):
    report, path = exported
    ranges = ActivationRanges.of(model)
    assert report.trained_ranges.tensors == len(ranges.places) == 8
    assert report.trained_ranges.missing == ()
    assert "trained ranges" in str(report) and " of " in str(report)
    stored = np.array(list_scales(str(path), "int8"))
    for low, high in ranges.values():
        scale = (float(high) - float(low)) / 255
        assert np.abs(stored / scale - 1).min() < 1e-6
    assert report.inputs[0].dtype == report.outputs[0].dtype == "float32"
    assert report.ops["QUANTIZE"] == report.ops["DEQUANTIZE"] == 1


def test_the_file_differs_by_two_steps_of_the_logits_at_most(model, exported):
    logits, stored = model.predict(X, verbose=0), run(exported[1])
    low, high = ActivationRanges.of(model).values()[-1]
    assert np.abs(logits - stored).max() <= 2.01 * (high - low) / 255
    assert np.mean(logits.argmax(1) == stored.argmax(1)) >= 0.95


def test_export_leaves_the_model_as_it_is(model, exported):
    ranges = ActivationRanges.of(model)
    before, weights = ranges.values(), model.get_weights()
    model.fit(X[:16], Y[:16], batch_size=16, epochs=1, verbose=0)
    assert (ranges.values() != before).any()  # Not constants any more.
    ranges.assign(before)
    model.set_weights(weights)


def test_other_modes_have_float_activations(model, tmp_path):
    for mode in (None, "float16"):
        path = tmp_path / f"{mode}.tflite"
        report = to_litert(model, path, quantize=mode)
        assert "QUANTIZE" not in report.ops
        assert report.trained_ranges is None
        assert "trained ranges" not in str(report)
    with ActivationRanges.of(model).suspended():
        plain = model(X, training=False).numpy()
    np.testing.assert_allclose(run(tmp_path / "None.tflite"), plain, atol=1e-4)
    assert not np.array_equal(plain, model(X, training=False).numpy())


@pytest.mark.parametrize("io", ["int8", "uint8"])
def test_integer_inputs_and_outputs(model, exported, tmp_path, io):
    report = to_litert(
        model, tmp_path / "m.tflite", quantize="int8", quantized_io=io
    )
    assert report.trained_ranges.missing == ()
    assert report.inputs[0].dtype == report.outputs[0].dtype == io
    np.testing.assert_allclose(
        run(tmp_path / "m.tflite"), run(exported[1]), atol=1e-6
    )


def test_ranges_win_over_calibration_data(model, exported, tmp_path):
    report = to_litert(
        model, tmp_path / "m.tflite", quantize="int8", calibration_data=9 * X
    )
    assert report.trained_ranges.missing == ()
    np.testing.assert_allclose(
        run(tmp_path / "m.tflite"), run(exported[1]), atol=0.1
    )


def test_a_layer_that_is_called_twice_and_a_nested_model(tmp_path):
    dense = layers.Dense(8)
    inner = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8), layers.BatchNormalization()]
    )
    x = inputs = keras.Input((8,))
    x = layers.ReLU()(inner(layers.LeakyReLU()(dense(x))))
    model = keras.Model(inputs, layers.Dense(4, "softmax")(dense(x)))
    train(model, X[:, 0].reshape(64, -1)[:, :8], Y)
    report = to_litert(model, tmp_path / "m.tflite", quantize="int8")
    assert report.trained_ranges.missing == ()
    assert report.ops["FULLY_CONNECTED"] == 4


def test_the_clone_of_mixed_precision_has_the_ranges(tmp_path):
    dtype = dict(dtype="mixed_bfloat16")
    inputs = keras.Input((8,))
    x = layers.Dense(8, "relu", **dtype)(inputs)
    model = keras.Model(inputs, layers.Dense(4, **dtype)(x))
    train(model, X[:, 0].reshape(64, -1)[:, :8], Y)
    report = to_litert(model, tmp_path / "m.tflite", quantize="int8")
    assert report.trained_ranges.missing == ()
    assert report.trained_ranges.tensors == 3
    assert report.ops["QUANTIZE"] == 1


def test_ranges_must_be_set_and_other_models_calibrated(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    path = tmp_path / "m.tflite"
    ActivationRanges.attach(model)
    with pytest.raises(ValueError, match="set by a batch of training"):
        to_litert(model, path, quantize="int8")
    to_litert(model, path)
    remove_ranges(model)
    for mode in ("int8", "int16x8"):
        with pytest.raises(ValueError, match="calibration_data"):
            to_litert(model, path, quantize=mode, overwrite=True)


def test_litert_torch_is_refused():
    check_converter("tensorflow")
    with pytest.raises(ValueError, match="must be 'tensorflow'"):
        check_converter("litert_torch")


def test_a_range_of_almost_zero_width_does_not_end_the_process(tmp_path):
    model = keras.Sequential([keras.Input((2, 2, 3)), layers.Conv2D(4, 1)])
    ActivationRanges.attach(model).assign(np.array([[-1, 1], [0, 1e-7]]))
    report = to_litert(model, tmp_path / "m.tflite", quantize="int8")
    assert report.trained_ranges.missing == ()
    assert report.outputs[0].dtype == "float32"
