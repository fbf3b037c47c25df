"""Class labels found in targets."""

from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.sample_source import SampleSource

MIN_SAMPLES_PER_CLASS = 2


def class_labels(y: Any) -> np.ndarray | None:
    """Returns the class number of each sample if targets are classes.

    Example:

    >>> import numpy as np
    >>> class_labels(np.array([7, 3, 7, 3]))
    array([1, 0, 1, 0])
    >>> class_labels(np.array([[0.0, 1.0], [1.0, 0.0]] * 2))
    array([1, 0, 1, 0])
    >>> class_labels(np.array([0.3, 0.1])) is None
    True

    Args:
        y: Targets: integers or booleans of shape `(samples,)` or
            `(samples, 1)`, zeros and ones of that shape, or one-hot rows.

    Returns:
        Int64 array of shape `(samples,)` with numbers from 0 without gaps,
        or `None` for other targets, and for integers with fewer than two
        samples per distinct value on average.
    """
    values = class_values(y)
    if values is None:
        return None
    numbers, labels = np.unique(values, return_inverse=True)
    if len(numbers) < 2 or len(labels) < MIN_SAMPLES_PER_CLASS * len(numbers):
        return None
    return labels.reshape(-1).astype("int64")


def class_values(y: Any) -> np.ndarray | None:
    """Returns class numbers as they are in the targets, or `None`."""
    if y is None or keras.tree.is_nested(y):
        return None
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1:
        return _integer_classes(array)
    if array.ndim == 2 and _is_one_hot(array):
        return array.argmax(axis=1)
    return None


def _integer_classes(array: np.ndarray) -> np.ndarray | None:
    if array.dtype.kind in "iub":
        return array.astype("int64")
    if array.dtype.kind == "f" and np.isin(array, (0.0, 1.0)).all():
        return array.astype("int64")
    return None


def _is_one_hot(array: np.ndarray) -> bool:
    if array.dtype.kind not in "iubf" or not np.isin(array, (0, 1)).all():
        return False
    return bool((array.sum(axis=1) == 1).all())


def as_class_labels(labels: Any, source: SampleSource) -> np.ndarray | None:
    """Returns the class number of each sample for class coverage.

    Args:
        labels: One class per sample, `None` to find them in the targets, or
            `False` for data without classes.
        source: The data.

    Raises:
        ValueError: If they are not classes or have another length.
    """
    if labels is None:
        return class_labels(source.y)
    if labels is False:
        return None
    values = class_values(labels)
    if values is None or len(values) != source.samples:
        raise ValueError(
            "Argument `labels` must hold one integer for each of the "
            f"{source.samples} samples, or be False for data without "
            f"classes. Received: labels of shape {np.shape(labels)}"
        )
    return np.unique(values, return_inverse=True)[1].reshape(-1)
