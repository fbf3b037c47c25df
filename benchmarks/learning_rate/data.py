"""Splits of Fashion-MNIST for these benchmarks."""

from typing import Any

import keras
import numpy as np

HELD_OUT = 5_000
CLASSES = 10
Part = tuple[np.ndarray, np.ndarray]


def load(images: int, seed: int) -> tuple[Part, Part, Part]:
    """Returns images and labels: training sample, held out, test."""
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    last = slice(-HELD_OUT, None)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(x) - HELD_OUT)[:images]
    return (
        (_scaled(x[chosen]), y[chosen].astype("int32")),
        (_scaled(x[last]), y[last].astype("int32")),
        (_scaled(x_test), y_test.astype("int32")),
    )


def mislabel(y: np.ndarray, share: float, rng: Any) -> np.ndarray:
    """Returns labels with a share of them moved to another class."""
    wrong = rng.permutation(len(y))[: round(share * len(y))]
    changed = y.copy()
    changed[wrong] += rng.integers(1, CLASSES, len(wrong)).astype(y.dtype)
    return changed % CLASSES


def _scaled(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype("float32") / 255
