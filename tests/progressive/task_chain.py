"""Small networks of trained tasks."""

import warnings

import keras
import numpy as np

from keras_netopt.progressive import ProgressiveNetwork

CLASSES = 3


def dense(inputs, width=1.0):
    first = keras.layers.Dense(int(8 * width), "relu")(inputs)
    first = keras.layers.Dropout(0.2)(first)
    return [first, keras.layers.Dense(int(6 * width), "relu")(first)]


def conv(inputs):
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    first = keras.layers.Activation("relu", name="relu")(x)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(first)
    return [first, keras.layers.Dense(5, "relu", name="dense")(pooled)]


def recurrent(inputs):
    x = keras.layers.Masking()(inputs)
    first = keras.layers.GRU(4, return_sequences=True, name="one")(x)
    return [first, keras.layers.GRU(5, name="two")(first)]


SHAPES = {dense: (4,), conv: (6, 6, 2), recurrent: (5, 3)}


def data(column, samples=32):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(samples, *SHAPES[column])).astype("float32")
    if column is recurrent:
        x[: samples // 2, 3:] = 0.0
    return x, rng.integers(0, CLASSES, samples)


def build_chain(column=dense, tasks=3, **settings):
    """A network; the last task is compiled, none is trained."""
    keras.utils.set_random_seed(5)
    settings = {"adapter_width": 4, **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = ProgressiveNetwork(
            column, keras.Input(SHAPES[column]), **settings
        )
        for _ in range(tasks):
            net.add_task(keras.layers.Dense(CLASSES))
    compile_task(net[net.tasks[-1]])
    return net


def add_task(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The adapters are large here.
        model = net.add_task(keras.layers.Dense(CLASSES))
    compile_task(model)
    return model


def compile_task(model, optimizer=None, **settings):
    model.compile(
        optimizer or keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **settings,
    )
