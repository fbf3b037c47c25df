"""Takes entries of arrays along several axes, a few rows at a time."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

Places = Sequence[tuple[int, np.ndarray]]
SIZE = 1 << 19
"""Number of entries of a part."""
_ALIGNMENT = 64  # Bytes.


def take_entries(array: np.ndarray, places: Places) -> np.ndarray:
    """Returns the entries at some positions along each of several axes.

    Args:
        array: The array.
        places: Axes, each with the positions along it.
    """
    if not places:
        return array
    shape = list(array.shape)
    for axis, index in places:
        shape[axis] = len(index)
    found = _make_aligned(shape, array.dtype)
    first = places[0][0]
    if len(places) == 1:
        # Other modes than "clip" would fill a second array first.
        return np.take(array, places[0][1], axis=first, out=found, mode="clip")
    for rows in split_rows(shape[first], found.size):
        part = np.take(array, places[0][1][rows], axis=first)
        for axis, index in places[1:]:
            part = np.take(part, index, axis=axis)
        found[(slice(None),) * first + (rows,)] = part
    return found


def _make_aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Makes an array that JAX on a CPU takes over without a copy."""
    size = math.prod(shape) * dtype.itemsize
    memory: np.ndarray = np.empty(size + _ALIGNMENT, "uint8")
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def find_differences(
    old: np.ndarray, new: np.ndarray, places: Places
) -> tuple[np.ndarray, np.ndarray]:
    """Compares the bits of an array with entries of another one.

    Returns the flat places that differ, and what `old` has there.
    """
    found: list[np.ndarray] = []
    width = old.size // max(len(old), 1) if old.ndim else 1
    by_axis = dict(places)
    others = [(axis, index) for axis, index in places if axis]
    for rows in split_rows(len(old) if old.ndim else 0, old.size):
        lead = by_axis.get(0)
        part = new[rows] if lead is None else np.take(new, lead[rows], axis=0)
        for axis, index in others:
            part = np.take(part, index, axis=axis)
        differ = _bits(old[rows]) != _bits(part)
        found.append(np.flatnonzero(differ) + rows.start * width)
    where = np.concatenate(found) if found else np.zeros(0, "int64")
    return where, old.reshape(-1)[where]


def split_rows(count: int, size: int) -> Iterator[slice]:
    """Yields slices of an axis, for parts of an array of `size` entries."""
    step = max(1, count * SIZE // max(size, 1))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _bits(array: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(f"u{flat.dtype.itemsize}")
