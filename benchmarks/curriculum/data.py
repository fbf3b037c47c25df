"""Fashion-MNIST with wrong labels, and the network that learns it."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

SAMPLES = 10_000
HELD_OUT = 5_000
CLASSES = 10
# Share of labels that are changed. "redrawn": drawn anew among all classes,
# so a tenth of those stay right. "flipped": drawn among the other classes.
NOISES = {"redrawn": 0.4, "flipped": 0.4, "clean": 0.0}
FILTERS = (16, 32)
UNITS = 64


@dataclass(frozen=True, eq=False)
class Task:
    """One draw of training data, held-out data and their labels.

    Args:
        x: Images to train on.
        y: Their labels, some of them wrong.
        wrong: Which labels are wrong.
        held_out: Other images with labels that are wrong as often.
        test: Images with clean labels.
    """

    x: np.ndarray
    y: np.ndarray
    wrong: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def load(noise: str, seed: int, samples: int = SAMPLES) -> Task:
    """Returns the data of a seed.

    Args:
        noise: A key of `NOISES`.
        seed: Of the choice of samples and of the wrong labels.
        samples: How many to train on. Defaults to 10,000.
    """
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(x))[: samples + HELD_OUT]
    clean = y[chosen].astype("int32")
    given = spoiled(clean, noise, rng)
    train, held = np.split(np.arange(len(chosen)), [samples])
    images = scaled(x[chosen])
    return Task(
        images[train],
        given[train],
        (given != clean)[train],
        (images[held], given[held]),
        (scaled(x_test), y_test.astype("int32")),
    )


def all_held_out(
    task: Task, noise: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns every image that a task does not train on, with such labels.

    Args:
        task: What `load` returned for this noise and seed.
        noise: A key of `NOISES`.
        seed: The seed of the task.
    """
    (x, y), _ = keras.datasets.fashion_mnist.load_data()
    order = np.random.default_rng(seed).permutation(len(x))
    others = order[len(task.x) + len(task.held_out[0]) :]
    rng = np.random.default_rng(1000 + seed)
    labels = spoiled(y[others].astype("int32"), noise, rng)
    return (
        np.concatenate([task.held_out[0], scaled(x[others])]),
        np.concatenate([task.held_out[1], labels]),
    )


def spoiled(y: np.ndarray, noise: str, rng: np.random.Generator) -> np.ndarray:
    """Returns labels of which some have been changed."""
    hit = rng.random(len(y)) < NOISES[noise]
    drawn = rng.integers(0, CLASSES, len(y))
    if noise == "flipped":
        drawn = (y + rng.integers(1, CLASSES, len(y))) % CLASSES
    return np.where(hit, drawn, y).astype("int32")


def scaled(x: np.ndarray) -> np.ndarray:
    """Returns images as float32 in [0, 1] with one channel."""
    return (x[..., None] / 255.0).astype("float32")


def build(loss: Any = None) -> keras.Model:
    """Returns a small compiled CNN.

    Args:
        loss: A Keras loss on logits. Defaults to `None`: cross-entropy.
    """
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *(
                layers.Conv2D(
                    n, 3, strides=2, padding="same", activation="relu"
                )
                for n in FILTERS
            ),
            layers.Flatten(),
            layers.Dense(UNITS, activation="relu"),
            layers.Dense(CLASSES),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        loss or cross_entropy(),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


def cross_entropy() -> Any:
    """Returns the plain loss."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def held_out_model(task: Task, seed: int, epochs: int = 8) -> keras.Model:
    """Returns a network that has only seen the held-out samples."""
    keras.utils.set_random_seed(1000 + seed)
    model = build()
    model.fit(*task.held_out, batch_size=128, epochs=epochs, verbose=0)
    return model
