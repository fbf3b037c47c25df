"""Finds out whether targets are classes."""

from typing import Any

import keras
import numpy as np

FEWEST_PER_CLASS = 2


def class_labels(y: Any) -> np.ndarray | None:
    """Returns the class number of each sample where targets are classes.

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
        or `None` for every other kind of targets, and for integers that are
        too many to be classes (fewer than two samples each on average).
    """
    values = class_values(y)
    if values is None:
        return None
    numbers, labels = np.unique(values, return_inverse=True)
    if len(numbers) < 2 or len(labels) < FEWEST_PER_CLASS * len(numbers):
        return None
    return labels.reshape(-1).astype("int64")


def class_values(y: Any) -> np.ndarray | None:
    """Returns the class of each sample as the user numbers it, or `None`."""
    if y is None or keras.tree.is_nested(y):
        return None
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1:
        return _plain(array)
    if array.ndim == 2 and _is_one_hot(array):
        return array.argmax(axis=1)
    return None


def _plain(array: np.ndarray) -> np.ndarray | None:
    if array.dtype.kind in "iub":
        return array.astype("int64")
    if array.dtype.kind == "f" and np.isin(array, (0.0, 1.0)).all():
        return array.astype("int64")
    return None


def _is_one_hot(array: np.ndarray) -> bool:
    if array.dtype.kind not in "iubf" or not np.isin(array, (0, 1)).all():
        return False
    return bool((array.sum(axis=1) == 1).all())
