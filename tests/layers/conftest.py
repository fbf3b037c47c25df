"""Fixtures of the layer tests: blocks, data, weights, training."""

import keras
import numpy as np
import pytest
from keras import layers, ops

# XLA takes seconds per model on TensorFlow; the contract suite enables it.
JIT = False if keras.backend.backend() == "tensorflow" else "auto"


@pytest.fixture
def values():
    """A function that reads the variables of a layer."""

    def read(layer):
        return [np.array(ops.convert_to_numpy(v)) for v in layer.variables]

    return read


@pytest.fixture
def make_block():
    """A function that makes a block with stateful layers."""

    def make(width=4, **dense):
        return keras.Sequential(
            [
                layers.Dense(width, **dense),
                layers.BatchNormalization(momentum=0.9),
                layers.Dropout(0.3, seed=1),
            ]
        )

    return make


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return rng.standard_normal((16, 4)).astype("float32")


@pytest.fixture
def train():
    """A function that trains a layer, followed by a head."""

    def fit(layer, x, epochs=1, optimizer=None, batch_size=4, **arguments):
        inputs = keras.Input(x.shape[1:])
        outputs = layers.Flatten()(layer(inputs))
        head = layers.Dense(1, kernel_initializer="ones", name="head")
        model = keras.Model(inputs, head(outputs))
        arguments = {"jit_compile": JIT, **arguments}
        model.compile(
            optimizer or keras.optimizers.SGD(0.01), "mse", **arguments
        )
        y = np.ones((len(x), 1), "float32")
        history = model.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            shuffle=False,
            verbose=0,
        )
        return model, history.history["loss"]

    return fit
