"""Sequences of tasks from Fashion-MNIST, and the network that learns them."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH = 64
RATE = 1e-3
BATCH = 32
EPOCHS = 4
COMPRESS_EPOCHS = 12
SAMPLES = 2_000
SIZE = 14 * 14


@dataclass(frozen=True)
class TaskData:
    """One task.

    Args:
        name: Its name.
        classes: Number of classes.
        train: Inputs and classes.
        test: Inputs and classes.
    """

    name: str
    classes: int
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


@functools.cache
def load_images() -> Any:
    """Returns train and test images of 14 x 14 pixels in [0, 1], flat."""
    import keras

    found = []
    for x, y in keras.datasets.fashion_mnist.load_data():
        small = x.reshape(-1, 14, 2, 14, 2).mean((2, 4)) / 255.0
        found.append((small.reshape(-1, SIZE).astype("float32"), y))
    return found


def _of_classes(group: tuple[int, ...], seed: int) -> TaskData:
    rng = np.random.default_rng(seed)
    parts = []
    for number, (x, y) in enumerate(load_images()):
        rows = np.flatnonzero(np.isin(y, group))
        if number == 0:
            rows = rng.permutation(rows)[:SAMPLES]
        lookup = np.zeros(10, "int32")
        lookup[list(group)] = np.arange(len(group))
        parts.append((x[rows], lookup[y[rows]]))
    name = "c" + "".join(map(str, group))
    return TaskData(name, len(group), *parts)


def make_splits(seed: int) -> list[TaskData]:
    """Five tasks of two classes, in an order drawn by the seed."""
    order = np.random.default_rng(1000 + seed).permutation(10)
    pairs = [tuple(map(int, order[i : i + 2])) for i in range(0, 10, 2)]
    return [_of_classes(pair, seed) for pair in pairs]


def make_permuted(seed: int) -> list[TaskData]:
    """Five tasks of all classes, each with its own permutation of pixels."""
    found = []
    for number in range(5):
        rng = np.random.default_rng([seed, number])
        places = rng.permutation(SIZE)
        whole = _of_classes(tuple(range(10)), 10 * seed + number)
        parts = [(x[:, places], y) for x, y in (whole.train, whole.test)]
        found.append(TaskData(f"p{number}", 10, *parts))
    return found


ORDERS = {
    "splits": make_splits,
    "permuted": make_permuted,
}


def column(inputs: Any) -> list[Any]:
    """Two hidden layers."""
    import keras

    first = keras.layers.Dense(WIDTH, "relu")(inputs)
    return [first, keras.layers.Dense(WIDTH, "relu")(first)]


def compile_model(model: Any) -> None:
    """Compiles as all arms do."""
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss, metrics=["accuracy"])


def train(
    model: Any, task: TaskData, *callbacks: Any, epochs: int = EPOCHS
) -> None:
    """Trains as all arms do."""
    model.fit(
        *task.train,
        epochs=epochs,
        batch_size=BATCH,
        callbacks=list(callbacks),
        verbose=0,
    )


def score(model: Any, task: TaskData) -> float:
    """Returns the test accuracy."""
    found = model.evaluate(
        *task.test, batch_size=1000, verbose=0, return_dict=True
    )
    return round(float(found["accuracy"]), 4)
