"""Fashion-MNIST with wrong labels, and the network of the benchmarks."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

SAMPLES = 10_000
HELD_OUT = 5_000
CLASSES = 10
# Share of changed labels. "redrawn": a uniform random class, so a tenth of
# them stay correct. "flipped": a random class other than the correct one.
NOISES = {"redrawn": 0.4, "flipped": 0.4, "clean": 0.0}
FILTERS = (16, 32)
UNITS = 64


@dataclass(frozen=True, eq=False)
class Task:
    """A random sample of training data and held-out data.

    Args:
        x: Images to train on.
        y: Their labels, some of them wrong.
        wrong: Boolean for each label, `True` if it is wrong.
        held_out: Other images with the same share of wrong labels.
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
        seed: Seed of the sampling and of the wrong labels.
        samples: Number of training samples. Defaults to 10,000.
    """
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(x))[: samples + HELD_OUT]
    clean = y[chosen].astype("int32")
    given = add_label_noise(clean, noise, rng)
    train, held = np.split(np.arange(len(chosen)), [samples])
    images = scale_images(x[chosen])
    return Task(
        images[train],
        given[train],
        (given != clean)[train],
        (images[held], given[held]),
        (scale_images(x_test), y_test.astype("int32")),
    )


def all_held_out(
    task: Task, noise: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns all images that a task does not train on, with label noise.

    Args:
        task: Result of `load` for this noise and seed.
        noise: A key of `NOISES`.
        seed: The seed of the task.
    """
    (x, y), _ = keras.datasets.fashion_mnist.load_data()
    order = np.random.default_rng(seed).permutation(len(x))
    others = order[len(task.x) + len(task.held_out[0]) :]
    rng = np.random.default_rng(1000 + seed)
    labels = add_label_noise(y[others].astype("int32"), noise, rng)
    return (
        np.concatenate([task.held_out[0], scale_images(x[others])]),
        np.concatenate([task.held_out[1], labels]),
    )


def add_label_noise(
    y: np.ndarray, noise: str, rng: np.random.Generator
) -> np.ndarray:
    """Returns labels of which some are changed."""
    hit = rng.random(len(y)) < NOISES[noise]
    other = rng.integers(0, CLASSES, len(y))
    if noise == "flipped":
        other = (y + rng.integers(1, CLASSES, len(y))) % CLASSES
    return np.where(hit, other, y).astype("int32")


def scale_images(x: np.ndarray) -> np.ndarray:
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
    """Returns the cross-entropy on logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def held_out_model(task: Task, seed: int, epochs: int = 8) -> keras.Model:
    """Returns a network trained on the held-out samples only."""
    keras.utils.set_random_seed(1000 + seed)
    model = build()
    model.fit(*task.held_out, batch_size=128, epochs=epochs, verbose=0)
    return model
