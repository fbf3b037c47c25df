import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.edits.output_difference import (
    check_preserved,
    snapshot,
)
from keras_netopt.surgery.growing import gradmax
from keras_netopt.surgery.growing.calibration_batch import CalibrationBatch
from keras_netopt.surgery.growing.widen import widen
from keras_netopt.training.gradients import compute_gradients


def _mlp(activation="relu", **arguments):
    x = inputs = keras.Input((7,))
    x = layers.Dense(5, activation=activation, name="target", **arguments)(x)
    x = layers.Dense(6, activation="tanh", name="reader")(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def _cnn(strides=(1, 1), padding="same", dilation=1, kernel=3):
    x = inputs = keras.Input((9, 8, 2))
    x = layers.Conv2D(
        4,
        kernel,
        strides=strides[0],
        padding=padding,
        dilation_rate=dilation,
        name="target",
    )(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(
        5, (2, 3), strides=strides[1], padding=padding, name="reader"
    )(x)
    x = layers.Activation("tanh")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def _compiled(make):
    keras.utils.set_random_seed(5)
    model = make()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    for variable in model.weights:
        if variable.name in ("bias", "beta"):
            value = np.random.default_rng(0).normal(0, 0.2, variable.shape)
            variable.assign(value)
    return model


def _sample(model, count=32):
    rng = np.random.default_rng(1)
    shape = model.inputs[0].shape[1:]
    x = rng.normal(size=(count, *shape)).astype("float32")
    return CalibrationBatch(x, rng.integers(0, 3, count).astype("int32"))


def _new(model):
    """The places of new units: their incoming weights are zero."""
    kernel = model.get_layer("target").get_weights()[0]
    return np.abs(kernel).reshape(-1, kernel.shape[-1]).sum(axis=0) == 0


def _incoming_gradient(model, sample):
    kernel = model.get_layer("target").kernel
    (found,) = compute_gradients(model, *sample, variables=[kernel])
    return found[..., _new(model)]


def test_the_bypass_gradient_is_that_of_a_product():
    model = _compiled(lambda: _mlp("linear"))
    sample = _sample(model)
    # Sum of input times delta; of ones it is the gradient of the bias.
    ones = CalibrationBatch(np.ones_like(sample.x), sample.y)
    found = gradmax.bypass_gradient(
        model, model.get_layer("target"), model.get_layer("reader"), ones
    )
    bias = model.get_layer("reader").bias
    (bias_gradient,) = compute_gradients(model, *ones, variables=[bias])
    assert found.shape == (7, 6)
    for row in found:
        np.testing.assert_allclose(row, bias_gradient, rtol=1e-4, atol=1e-7)


CONVOLUTIONS = [
    _cnn,
    lambda: _cnn(strides=(2, 1)),
    lambda: _cnn(strides=(1, 2)),
    lambda: _cnn(strides=(2, 2), kernel=2),
    lambda: _cnn(padding="valid"),
    lambda: _cnn(padding="valid", strides=(2, 1)),
    lambda: _cnn(padding="valid", dilation=2),
]


@pytest.mark.parametrize("make", [_mlp, *CONVOLUTIONS[:1]])
def test_the_gradient_of_new_units_is_the_largest_one(make):
    model = _compiled(make)
    sample = _sample(model)
    before = snapshot(model, sample.x)
    report = widen(
        model, "target", add=2, new_units="gradmax", calibration_data=sample
    )
    assert check_preserved(before, model).verdict == "exact"
    assert not report.notes and _new(model).sum() == 2
    best = np.linalg.norm(_incoming_gradient(model, sample))
    assert best > 0
    reader = model.get_layer("reader")
    kernel, bias = reader.get_weights()
    rows = np.moveaxis(kernel, -2, 0)
    fresh = _new(model)
    norms = np.linalg.norm(rows[fresh].reshape(2, -1), axis=1)
    np.testing.assert_allclose(norms[0], norms[1], rtol=1e-5)
    for seed in range(3):
        drawn = np.random.default_rng(seed).normal(size=rows[fresh].shape)
        drawn *= (
            norms[0] / np.linalg.norm(drawn.reshape(2, -1), axis=1)
        ).reshape(2, *[1] * (drawn.ndim - 1))
        rows[fresh] = drawn
        reader.set_weights([np.moveaxis(rows, 0, -2), bias])
        random = np.linalg.norm(_incoming_gradient(model, sample))
        assert best >= 1.05 * random


@pytest.mark.parametrize("make", CONVOLUTIONS)
def test_the_gradient_of_new_filters_is_the_singular_value(make):
    # Inside an image; where both pad with zeros the bypass sees more.
    model = _compiled(make)
    sample = _sample(model)
    if model.get_layer("target").padding == "same":
        sample.x[:, :3], sample.x[:, -3:] = 0, 0
        sample.x[:, :, :3], sample.x[:, :, -3:] = 0, 0
    found = gradmax.bypass_gradient(
        model, model.get_layer("target"), model.get_layer("reader"), sample
    )
    matrix = gradmax.reshape_to_matrix(
        found, model.get_layer("target"), model.get_layer("reader")
    )
    widen(model, "target", add=1, new_units="gradmax", calibration_data=sample)
    rows = np.moveaxis(model.get_layer("reader").get_weights()[0], -2, 0)
    row = rows[_new(model)].reshape(-1)
    expected = matrix @ row
    gradient = _incoming_gradient(model, sample).reshape(-1)
    np.testing.assert_allclose(
        gradient, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
    )


@pytest.mark.parametrize("activation", ["relu", "relu6", "gelu", "tanh", "elu"])
def test_new_units_get_a_gradient_whatever_the_activation(activation):
    model = _compiled(lambda: _mlp(activation))
    sample = _sample(model)
    before = snapshot(model, sample.x)
    widen(model, "target", add=2, new_units="gradmax", calibration_data=sample)
    assert check_preserved(before, model).verdict == "exact"
    assert np.abs(_incoming_gradient(model, sample)).max() > 1e-4
    bias = model.get_layer("target").get_weights()[1][_new(model)]
    expected = 1e-6 if activation.startswith("relu") else 0.0
    np.testing.assert_allclose(bias, expected)


def test_the_consumers_bias_compensates_for_the_bias_of_new_units():
    model = _compiled(lambda: _mlp("sigmoid"))  # 0.5 at zero.
    sample = _sample(model)
    old = model.get_layer("reader").get_weights()[1]
    before = snapshot(model, sample.x)
    widen(model, "target", add=2, new_units="gradmax", calibration_data=sample)
    kernel, bias = model.get_layer("reader").get_weights()
    rows = kernel[_new(model)]
    np.testing.assert_allclose(bias, old - 0.5 * rows.sum(axis=0), atol=1e-6)
    assert check_preserved(before, model).verdict == "exact"


def test_more_units_than_directions_start_with_zero_outgoing_weights():
    model = _compiled(_mlp)
    sample = _sample(model)
    report = widen(
        model, "target", add=8, new_units="gradmax", calibration_data=sample
    )
    assert report.notes == (
        "the gradient has 6 directions: 2 of 8 new units start with zero "
        "outgoing weights",
    )
    kernel = model.get_layer("reader").get_weights()[0]
    assert (np.abs(kernel).sum(axis=1) == 0).sum() == 2


def _no_bias():
    return _mlp(use_bias=False)


def _reader_without_bias():
    x = inputs = keras.Input((7,))
    x = layers.Dense(5, activation="relu", name="target")(x)
    x = layers.Dense(3, use_bias=False)(x)
    return keras.Model(inputs, x)


def _norm_between():
    x = inputs = keras.Input((7,))
    x = layers.Dense(5, name="target")(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def _pooling_between():
    x = inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(5, 3, name="target")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(3, 3)(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def _conv_then_dense():
    x = inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(5, 3, name="target")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def _two_readers():
    x = inputs = keras.Input((7,))
    x = layers.Dense(5, name="target")(x)
    x = layers.Add()([layers.Dense(3)(x), layers.Dense(3)(x)])
    return keras.Model(inputs, x)


def _sigmoid_at_the_border():
    x = inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(5, 3, activation="sigmoid", name="target")(x)
    x = layers.Conv2D(3, 3, padding="same")(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_no_bias, "'target' has no bias to move past the activation"),
        (_reader_without_bias, "has no bias to compensate for new units"),
        (_norm_between, "several layers make, change or consume the units"),
        (_pooling_between, "more than an activation is between"),
        (_conv_then_dense, "are not two dense layers or two convolutions"),
        (_two_readers, "several layers make, change or consume the units"),
        (_sigmoid_at_the_border, "the activation is not 0 at 0"),
    ],
)
def test_gradmax_falls_back_to_zero_with_a_note(make, reason):
    model = _compiled(make)
    sample = _sample(model)
    before = snapshot(model, sample.x)
    report = widen(
        model, "target", add=2, new_units="gradmax", calibration_data=sample
    )
    assert check_preserved(before, model).verdict == "exact"
    (note,) = report.notes
    assert note.startswith("new_units='zero' is used instead of 'gradmax'")
    assert reason in note
    assert gradmax.find_layer_pair(ChannelGraph(model), "target").reason in note


@pytest.mark.parametrize("data", [None, np.zeros((4, 7), "float32")])
def test_data_must_have_targets(data):
    model = _compiled(_mlp)
    with pytest.raises(ValueError, match=r"pass calibration_data=\(x, y\)"):
        widen(
            model, "target", add=2, new_units="gradmax", calibration_data=data
        )


def test_a_model_without_a_loss_is_refused():
    model = _mlp()
    with pytest.raises(ValueError, match="compiled"):
        widen(
            model,
            "target",
            add=2,
            new_units="gradmax",
            calibration_data=_sample(model),
        )
    assert model.get_layer("target").units == 5


def test_the_model_is_left_without_a_trace_of_the_bypass():
    model = _compiled(_mlp)
    reader = model.get_layer("reader")
    activation, count = reader.activation, len(model.variables)
    widen(
        model,
        "target",
        add=2,
        new_units="gradmax",
        calibration_data=_sample(model),
    )
    assert reader.activation is activation
    assert "call" not in vars(model.get_layer("target"))
    assert len(model.variables) == count
