"""Fashion-MNIST as a sequence of tasks: changed images, split classes."""

from typing import Any

import keras
import numpy as np

SOURCE, TESTED = 10_000, 5_000
NOISE = 0.3
Arrays = tuple[np.ndarray, np.ndarray]


def load(seed: int) -> tuple[Arrays, Arrays, Arrays]:
    """Returns the data of the first task, the rest, and test data.

    The order of the images depends on the seed. Pixels are in [0, 1].
    """
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    rng = np.random.default_rng(seed)
    train, test = rng.permutation(len(x)), rng.permutation(len(x_test))[:TESTED]
    first, rest = np.split(train, [SOURCE])
    return (
        (_scale(x[first]), _labels(y[first])),
        (_scale(x[rest]), _labels(y[rest])),
        (_scale(x_test[test]), _labels(y_test[test])),
    )


def change(images: np.ndarray, task: str, seed: int) -> np.ndarray:
    """Returns the images of a related task."""
    if task == "noise":
        noise = np.random.default_rng(seed).normal(0, NOISE, images.shape)
        return (images + noise).astype("float32")
    if task == "inversion":
        return 1 - images
    if task == "rotation":
        return np.ascontiguousarray(np.rot90(images, axes=(1, 2)))
    return images


def few_labels(data: Arrays, classes: Any, count: int) -> Arrays:
    """Returns the first `count` samples of each class, in mixed order."""
    x, y = data
    chosen = [np.flatnonzero(y == one)[:count] for one in classes]
    order = np.concatenate(np.stack(chosen, axis=1))
    return x[order], y[order]


def of_classes(data: Arrays, classes: Any) -> Arrays:
    """Returns the samples of some classes."""
    kept = np.isin(data[1], classes)
    return data[0][kept], data[1][kept]


def _scale(images: np.ndarray) -> np.ndarray:
    return (images / 255.0).astype("float32")


def _labels(labels: np.ndarray) -> np.ndarray:
    return labels.astype("int32")
