"""The models of the demo and their training."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np

from keras_netopt import cost, datasets, sparsity
from keras_netopt.callbacks import Pruning
from keras_netopt.demo.progress_log import ProgressLog
from keras_netopt.export import LitertReport

BATCH_SIZE = 64
LEARNING_RATE = 1e-3
SEED = 0


@dataclass(frozen=True, eq=False)
class DemoData:
    """Images of shape `(samples, 28, 28, 1)` in [0, 1] with their labels."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @classmethod
    def load(cls, limit: int | None = None) -> "DemoData":
        """Loads the embedded sample, at most `limit` images of each part."""
        (x_train, y_train), (x_test, y_test) = datasets.fashion_mnist_sample()
        return cls(
            _scaled(x_train[:limit]),
            y_train[:limit],
            _scaled(x_test[:limit]),
            y_test[:limit],
        )


@dataclass(frozen=True)
class DemoModel:
    """One model of the comparison and its measurements.

    Example:

    >>> DemoModel("dense", accuracy=0.9, error=0.01, nonzero=40, total=50).files
    {}

    Args:
        name: The title of the column.
        accuracy: Accuracy on the held-out images.
        error: Standard error of the accuracy.
        nonzero: Number of weights that are not 0.
        total: Number of weights.
        zeros: Sparsity by pruned weight; empty without pruning.
        files: Report of each exported file, by variant.
    """

    name: str
    accuracy: float
    error: float
    nonzero: int
    total: int
    zeros: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, LitertReport] = field(default_factory=dict)


def build_model() -> keras.Model:
    """Builds the demo's compiled CNN: images `(28, 28, 1)`, 10 logits."""
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(16, 3, activation="relu", name="conv1"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu", name="conv2"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu", name="dense"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10, name="logits"),
        ],
        name="demo",
    )
    _compile(model)
    return model


def fit(
    model: keras.Model,
    data: DemoData,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Trains a model, with the same settings for every arm."""
    keras.utils.set_random_seed(SEED)
    model.fit(
        data.x_train,
        data.y_train,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=(data.x_test, data.y_test),
        callbacks=list(callbacks),
        # A bar needs a terminal that can rewrite a line.
        verbose=1 if sys.stdout.isatty() else 2,
    )


def train_arm(
    trained: keras.Model,
    data: DemoData,
    epochs: int,
    target: float | None,
    progress: ProgressLog,
) -> tuple[keras.Model, DemoModel]:
    """Trains a copy of a model further, pruned to the sparsity `target`.

    `None` trains the dense control. Returns the copy and its measurements.
    """
    model = keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    _compile(model)
    if target is None:
        name, callbacks = "dense", []
        progress.begin(
            f"Train on without pruning, {epochs} epochs: the control"
        )
    else:
        name, callbacks = f"{100 * target:.0f} % zeros", [Pruning(target)]
        progress.begin(f"Prune to {name} inside `fit`, {epochs} epochs")
    fit(model, data, epochs, callbacks)
    _, accuracy = model.evaluate(data.x_test, data.y_test, verbose=0)
    counts = cost.summarize(model)
    pruned = sparsity.report(model).pruned if callbacks else ()
    arm = DemoModel(
        name=name,
        accuracy=accuracy,
        error=math.sqrt(accuracy * (1 - accuracy) / len(data.x_test)),
        nonzero=counts.nonzero,
        total=counts.params,
        zeros={row.key: row.sparsity for row in pruned},
    )
    return model, arm


def _compile(model: keras.Model) -> None:
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def _scaled(images: np.ndarray) -> np.ndarray:
    return (images[..., None] / 255.0).astype("float32")
