"""Models for the tests of the bridge, with weights that show a mistake."""

import keras
import numpy as np

from keras_netopt import export


def randomise(model, seed=0, spread=0.2):
    """Statistics and weights that all differ: swapped ones show."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        value = np.array(keras.ops.convert_to_numpy(variable.value))
        if value.dtype.kind != "f":
            continue
        if "variance" in variable.name:
            value = rng.uniform(0.5, 1.5, value.shape)
        else:
            value = value + rng.normal(0, spread, value.shape)
        variable.assign(value)
    return model


def arrays(model):
    return [
        np.array(keras.ops.convert_to_numpy(one.value)) for one in model.weights
    ]


def sequential(shape, *layers, dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


def branches(shape, layers, dtype="float32"):
    """One output per layer: one crossing for all of them."""
    inputs = keras.Input(shape, dtype=dtype)
    return keras.Model(inputs, [layer(inputs) for layer in layers])


def cross(model, *, spread=0.2, **arguments):
    """Crosses and comes back: equal outputs, equal bits, source untouched."""
    randomise(model, spread=spread)
    before = arrays(model)
    bridge = export.tfmot(model, **arguments)
    assert bridge.report.max_difference <= 1e-5
    clone = bridge.to_keras()
    assert clone is not model
    for one, two, three in zip(
        before, arrays(clone), arrays(model), strict=True
    ):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)
    return bridge


def conv_net():
    layers = keras.layers
    return sequential(
        (8, 8, 4),
        layers.Conv2D(6, 3, use_bias=False, name="first"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.DepthwiseConv2D(3, name="depthwise"),
        layers.BatchNormalization(trainable=False),
        layers.ReLU(6.0),
        layers.Flatten(),
        layers.Dropout(0.2, seed=3),
        layers.Dense(3, activation="softmax", name="head"),
    )
