"""Takes equally many samples of each class from calibration data."""

from typing import Any

import keras
import numpy as np


def take_class_samples(data: Any, count: int) -> Any:
    """Takes evenly spaced samples of each class of `(x, y)` arrays.

    The classes are integers or booleans, one per sample, zeros and ones, or
    one-hot rows. Other data are returned unchanged.

    Example:

    >>> import numpy as np
    >>> x, y = np.arange(6.0), np.array([0, 0, 0, 0, 1, 1])
    >>> take_class_samples((x, y), 2)
    (array([0., 3., 4., 5.]), array([0, 0, 1, 1]))

    Args:
        data: The calibration data.
        count: Samples per class.
    """
    if not isinstance(data, tuple) or len(data) < 2:
        return data
    labels = _read_labels(data[1])
    if labels is None:
        return data
    rows = []
    for label in np.unique(labels):
        found = np.flatnonzero(labels == label)
        size = min(count, len(found))
        rows.append(found[np.linspace(0, len(found) - 1, size).astype(int)])
    chosen = np.sort(np.concatenate(rows))
    if len(chosen) == len(labels):
        return data
    return keras.tree.map_structure(
        lambda part: (
            None
            if part is None
            else np.asarray(keras.ops.convert_to_numpy(part))[chosen]
        ),
        data,
    )


def _read_labels(y: Any) -> np.ndarray | None:
    """Returns one label per sample, or `None` if there are no classes."""
    if not hasattr(y, "shape"):
        return None
    array = np.asarray(keras.ops.convert_to_numpy(y))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1:
        is_whole = array.dtype.kind in "iub" or np.isin(array, (0, 1)).all()
        return array if is_whole else None
    is_one_hot = (
        array.ndim == 2
        and np.isin(array, (0, 1)).all()
        and (array.sum(axis=1) == 1).all()
    )
    return np.argmax(array, axis=1) if is_one_hot else None
