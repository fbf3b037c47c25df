"""Small data and models."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    collect_ignore = ["test_gathered_batches.py"]


@pytest.fixture
def sorted_classes():
    """Scores that sort the samples by class, and the labels."""
    labels = np.repeat(np.arange(4), [40, 30, 20, 10])
    return np.arange(100.0), labels


@pytest.fixture(scope="session")
def echo():
    """A model whose loss is the mean of its input; training changes nothing."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.0), "mae")
    return model


class Received(keras.callbacks.Callback):
    """Loss of each batch, computed from the running mean of the logs."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append([])
        self.total, self.count = 0.0, 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        total = float(logs["loss"]) * self.count
        self.epochs[-1].append(total - self.total)
        self.total = total


@pytest.fixture
def received():
    return Received()
