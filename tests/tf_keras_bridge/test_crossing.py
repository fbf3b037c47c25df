"""Models cross into tf_keras with equal outputs, and back bit for bit."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt import export


def randomise(model, seed=0):
    """Statistics and weights that differ: swapped ones show."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        value = np.array(keras.ops.convert_to_numpy(variable.value))
        if value.dtype.kind != "f":
            continue
        if "variance" in variable.name:
            value = rng.uniform(0.5, 1.5, value.shape)
        else:
            value = value + rng.normal(0, 0.2, value.shape)
        variable.assign(value.astype(value.dtype))
    return model


def arrays(model):
    return [keras.ops.convert_to_numpy(v.value) for v in model.weights]


def sequential(shape, *inner, dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *inner])


def conv_net():
    return sequential(
        (8, 8, 4),
        layers.Conv2D(6, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.DepthwiseConv2D(3),
        layers.BatchNormalization(trainable=False),
        layers.ReLU(6.0),
        layers.Flatten(),
        layers.Dropout(0.2, seed=3),
        layers.Dense(3, activation="softmax"),
    )


MODELS = {"conv": conv_net}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_crosses_and_comes_back_bit_equal(name):
    model = randomise(MODELS[name]())
    before = arrays(model)
    bridge = export.tfmot(model)

    assert bridge.report.max_difference <= 1e-5
    clone = bridge.to_keras()
    assert clone is not model
    for one, other, source in zip(
        before, arrays(clone), arrays(model), strict=True
    ):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, source)
