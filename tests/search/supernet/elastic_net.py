"""A small residual network whose kernels, widths and depth are elastic."""

import keras
import numpy as np
from keras import ops

from keras_netopt import layers
from keras_netopt.search.supernet.extract import extract_uncompiled

SHAPE = (4, 4, 3)


def norm():
    return keras.layers.BatchNormalization(momentum=0.9)


def conv(filters, size, widths=None, sizes=None, **arguments):
    return layers.ElasticConv2D(filters, size, widths, sizes, **arguments)


def block(k):
    inputs = keras.Input((4, 4, 4))
    x = conv(
        5, 3, (2, 5), activation="relu", normalization=norm(), name=f"wide{k}"
    )(inputs)
    x = conv(
        4,
        3,
        (2, 3, 4),
        (1, 3),
        normalization=norm(),
        width="stream",
        name=f"back{k}",
    )(x)
    return keras.Model(inputs, keras.layers.Add()([inputs, x]), name=f"b{k}")


def network():
    """A stream of shared width, two blocks, and an elastic head."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    x = conv(
        4,
        5,
        (2, 3, 4),
        (1, 3, 5),
        activation="relu",
        normalization=norm(),
        width="stream",
        name="stem",
    )(inputs)
    x = layers.ElasticDepth([block(0), block(1)], name="stack")(x)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D()(x))
    x = layers.ElasticDense(6, (3, 6), activation="tanh", name="head")(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="out")(x))


def data(samples=16):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, *SHAPE)).astype("float32")
    return x, np.arange(samples) % 3


def randomize(model):
    """Gives every weight a value that no two units share."""
    rng = np.random.default_rng(1)
    for variable in model.weights:
        if keras.backend.is_float_dtype(variable.dtype):
            shift = rng.uniform(0.1, 0.5, variable.shape)
            variable.assign(to_numpy(variable) + shift)


def cut(model, architecture):
    """The plain network of an architecture, without masked units."""
    return extract_uncompiled(model, architecture)


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))
