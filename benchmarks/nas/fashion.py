"""Fashion-MNIST at half the resolution."""

from typing import NamedTuple

import keras
import numpy as np

HELD_OUT = 5_000  # Images of the training set for validation.


class Split(NamedTuple):
    """Images `(samples, 14, 14, 1)` in [0, 1] and labels `(samples,)`."""

    x: np.ndarray
    y: np.ndarray


def load(train: int, validation: int = 2_000) -> tuple[Split, Split, Split]:
    """Loads training, validation and test images, averaged over 2 x 2 pixels.

    Training images are the first of the data set, validation images the last
    of its training set; all 10,000 test images are returned.
    """
    if train > 60_000 - HELD_OUT or validation > HELD_OUT:
        raise ValueError(
            "Training and validation images must not overlap. "
            f"Received: train={train}, validation={validation}"
        )
    (x, y), test = keras.datasets.fashion_mnist.load_data()
    first = Split(_halve(x[:train]), y[:train])
    held_out = Split(_halve(x[-validation:]), y[-validation:])
    return first, held_out, Split(_halve(test[0]), test[1])


def _halve(images: np.ndarray) -> np.ndarray:
    halves = images.reshape(len(images), 14, 2, 14, 2).mean((2, 4))
    return (halves[..., None] / 255).astype("float32")
