"""Warm starts when more data arrives: cold, warm, shrink and perturb.

Run with `KERAS_BACKEND=jax python -m benchmarks.progressive.warm_start`. Half
of the data is learned first, then all of it by a new model with the same
number of epochs in every arm. Rows in the JSON are kept; `--fresh` measures
all.
"""

import functools
from typing import Any

import keras
import numpy as np

from benchmarks.missing_rows import measure_missing
from keras_netopt import fine_tuning

NAME = "progressive_warm_start"
SAMPLES, EPOCHS, BATCH, TEST = 1_000, 100, 50, 5_000
LEARNED = 0.99  # Training accuracy at which a network counts as trained.
SETTINGS = {
    "data": f"Fashion-MNIST pooled to 14 x 14, {SAMPLES // 2:,} images, then "
    f"{SAMPLES:,}; {TEST:,} test images",
    "epochs": EPOCHS,
    "batch": BATCH,
    "optimizer": "Adam, 1e-3",
    "network": "MLP 196-100-100-10",
}
# `shrink` and `noise`; `None`: the model starts from its initial values.
ARMS: dict[str, tuple[float, float] | None] = {
    "cold": None,
    "warm": (1.0, 0.0),
    "shrink 0.4, noise 0.1": (0.4, 0.1),
    "shrink 0.2, noise 0.1": (0.2, 0.1),
    "shrink 0.4, noise 0": (0.4, 0.0),
    "shrink 0.4, noise 0.6": (0.4, 0.6),
}
# Share of labels that are drawn at random, in training data only.
TASKS = {"clean labels": 0.0, "30 % random labels": 0.3}


def main() -> None:
    """Measures every missing row."""
    arms = [f"{task}: {arm}" for task in TASKS for arm in ARMS]
    measure_missing(NAME, SETTINGS, arms, train, EPOCHS)


def train(name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Trains one arm on all of the data."""
    task, arm = name.split(": ")
    x, y, *test = load(task, seed)
    before = first_half(task, seed, epochs)
    model = build(100 + seed)
    if (factors := ARMS[arm]) is not None:
        old = build(0)
        old.set_weights(before)
        fine_tuning.warm_start(model, old, shrink=factors[0], noise=factors[1])
    history = fit(model, x, y, epochs, 200 + seed, test)
    curve = history["val_accuracy"]
    learned = [k for k, a in enumerate(history["accuracy"]) if a >= LEARNED]
    return {
        "accuracy": round(float(np.mean(curve[-5:])), 4),
        "best": round(max(curve), 4),
        "train": round(float(history["accuracy"][-1]), 4),
        "learned": learned[0] + 1 if learned else None,
        "curve": [round(float(a), 4) for a in curve],
    }


@functools.lru_cache(maxsize=1)
def first_half(task: str, seed: int, epochs: int) -> list[np.ndarray]:
    """Returns the weights after training on the first half of the data."""
    x, y, *_ = load(task, seed)
    model = build(seed)
    half = len(x) // 2
    fit(model, x[:half], y[:half], epochs, seed)
    return model.get_weights()


def fit(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    seed: int,
    test: Any = None,
) -> dict[str, list[float]]:
    """Trains a model; the order of the batches depends on the seed."""
    keras.utils.set_random_seed(seed)
    history = model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=epochs,
        validation_data=test,
        validation_batch_size=TEST // 4,
        verbose=0,
    )
    return history.history


def build(seed: int) -> keras.Model:
    """Returns a compiled network with initial values."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((14, 14, 1)),
            layers.Flatten(),
            layers.Dense(100, activation="relu", name="hidden1"),
            layers.Dense(100, activation="relu", name="hidden2"),
            layers.Dense(10, name="head"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=20,
    )
    return model


@functools.lru_cache(maxsize=1)
def load(task: str, seed: int) -> tuple[np.ndarray, ...]:
    """Returns images and labels of a seed, and the test data."""
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(x))[:SAMPLES]
    labels = y[chosen].astype("int32")
    wrong = rng.random(SAMPLES) < TASKS[task]
    labels[wrong] = rng.integers(0, 10, wrong.sum())
    return (
        pool(x[chosen]),
        labels,
        pool(x_test[:TEST]),
        y_test[:TEST].astype("int32"),
    )


def pool(images: np.ndarray) -> np.ndarray:
    """Averages 2 x 2 pixels and scales them to [0, 1]."""
    parts = images.reshape(len(images), 14, 2, 14, 2).astype("float32")
    return parts.mean(axis=(2, 4))[..., None] / 255


if __name__ == "__main__":
    main()
