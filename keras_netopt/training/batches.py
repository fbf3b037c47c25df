"""Batches from calibration data in any form that `fit` accepts."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

BATCH_SIZE = 32
Batch = tuple[Any, Any, Any]


def iterate_batches(
    data: Any, *, batch_size: int = BATCH_SIZE, samples: int | None = None
) -> Iterator[Batch]:
    """Yields `(x, y, sample_weight)` batches of any data that `fit` accepts.

    Args:
        data: A tuple `(x,)`, `(x, y)` or `(x, y, sample_weight)` of arrays,
            an array or dictionary of inputs, or an iterable of batches.
        batch_size: Samples per batch if `data` is arrays. Defaults to `32`.
        samples: Number of samples to use. Of arrays, evenly spaced samples
            are taken, so that sorted data are covered. Defaults to `None`:
            all.
    """
    if isinstance(data, tuple | dict) or hasattr(data, "shape"):
        found = _from_arrays(data, batch_size, samples)
    else:
        found = _from_batches(data, samples)
    empty = True
    for batch in found:
        empty = False
        yield batch
    if empty:
        raise ValueError(
            "Argument `calibration_data` must hold at least one sample. "
            f"Received: calibration_data of type {type(data).__name__}"
        )


def _from_arrays(
    data: Any, batch_size: int, samples: int | None
) -> Iterator[Batch]:
    parts = keras.tree.map_structure(_to_numpy, _unpack(data))
    count = _count_samples(parts)
    chosen = np.arange(count)
    if samples is not None and samples < count:
        chosen = np.linspace(0, count - 1, samples).astype(int)
    for start in range(0, len(chosen), batch_size):
        rows = chosen[start : start + batch_size]
        yield keras.tree.map_structure(_select_rows(rows), parts)


def _from_batches(data: Any, samples: int | None) -> Iterator[Batch]:
    seen = 0
    for item in _iterate_items(data):
        batch = keras.tree.map_structure(_to_numpy, _unpack(item))
        yield batch
        seen += _count_samples(batch)
        if samples is not None and seen >= samples:
            return


def _iterate_items(data: Any) -> Iterator[Any]:
    if isinstance(data, keras.utils.PyDataset):
        return (data[i] for i in range(len(data)))
    is_pair = isinstance(data, list) and any(hasattr(p, "shape") for p in data)
    if is_pair or isinstance(data, str) or not hasattr(data, "__iter__"):
        raise TypeError(
            "Argument `calibration_data` must be a tuple (x, y) of arrays, an "
            "array of inputs, or an iterable of batches such as a "
            "tf.data.Dataset. Received: calibration_data of type "
            f"{type(data).__name__}"
        )
    return iter(data)


def _unpack(item: Any) -> Batch:
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(item)
    return x, y, sample_weight


def _to_numpy(value: Any) -> Any:
    if value is None or isinstance(value, np.ndarray):
        return value
    if ops.is_tensor(value):
        return np.asarray(ops.convert_to_numpy(value))
    return np.asarray(value)


def _select_rows(rows: np.ndarray) -> Any:
    return lambda array: None if array is None else array[rows]


def _count_samples(parts: Any) -> int:
    lengths = {
        len(array) for array in keras.tree.flatten(parts) if array is not None
    }
    if len(lengths) != 1:
        raise ValueError(
            "Argument `calibration_data` must hold arrays of one length. "
            f"Received: lengths={sorted(lengths)}"
        )
    return lengths.pop()
