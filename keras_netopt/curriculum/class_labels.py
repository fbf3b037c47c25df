"""Class labels found in targets."""

from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.sample_source import SampleSource

MIN_SAMPLES_PER_CLASS = 2


def class_labels(y: Any) -> np.ndarray | None:
    """Returns the class number of each sample if targets are classes.

    Classes are integers or booleans of shape `(samples,)` or `(samples, 1)`,
    zeros and ones of that shape, or one-hot rows. The numbers start at 0 and
    have no gaps. The result is `None` for other targets, and for integers with
    fewer than two samples per distinct value on average.

    Example:

    >>> import numpy as np
    >>> class_labels(np.array([7, 3, 7, 3]))
    array([1, 0, 1, 0])
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
    try:
        array = np.asarray(y)
    except ValueError:  # Lists of different lengths.
        return None
    if array.dtype.kind not in "iubf":
        return None
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    is_integer = array.dtype.kind != "f"
    if array.ndim == 1 and (is_integer or np.isin(array, (0, 1)).all()):
        return array.astype("int64")
    is_table = array.ndim == 2 and np.isin(array, (0, 1)).all()
    if is_table and (array.sum(axis=1) == 1).all():
        return array.argmax(axis=1)
    return None


def as_class_labels(labels: Any, source: SampleSource) -> np.ndarray | None:
    """Returns the class number of each sample for class coverage.

    The argument is one class per sample, `None` to find them in the targets, or
    `False` for data without classes.

    Raises:
        ValueError: If they are not classes or have another length.
    """
    if labels is None:
        return class_labels(source.y)
    if labels is False:
        return None
    values = class_values(labels)
    if values is None or len(values) != source.samples:
        try:
            found = f"labels of shape {np.shape(labels)}"
        except ValueError:  # Lists of different lengths.
            found = f"labels={labels!r}"
        raise ValueError(
            "Argument `labels` must hold one integer for each of the "
            f"{source.samples} samples, or be False for data without "
            f"classes. Received: {found}"
        )
    return np.unique(values, return_inverse=True)[1].reshape(-1)
