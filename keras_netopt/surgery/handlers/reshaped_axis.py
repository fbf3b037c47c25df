"""Traces channels through a reshape; plain arithmetic."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

Shape = Sequence[int | None]


@dataclass(frozen=True)
class ReshapedAxis:
    """The position of a channel axis after a reshape.

    Args:
        old: The block of axes before the reshape that contains the axis.
        new: The block of axes after the reshape.
        axis: The axis of `new` that has the channels.
        ids: The unit of each position along it.
        coupled: Rows of units; the units of a column are coupled.
        keeps_copies_adjacent: Whether copies of a unit stay adjacent to it.
    """

    old: range
    new: range
    axis: int
    ids: np.ndarray
    coupled: np.ndarray
    keeps_copies_adjacent: bool


def follow_reshape(
    old: Shape, new: Shape, axis: int, ids: np.ndarray
) -> ReshapedAxis | None:
    """Traces a channel axis with the units `ids` through a reshape.

    `None` stands for unknown sizes in the shapes; the result is `None` if they
    make it ambiguous.

    Example:

    >>> move = follow_reshape((None, 2, 3), (None, 6), 2, np.array([7, 8, 9]))
    >>> move.axis, move.ids
    (1, array([7, 8, 9, 7, 8, 9]))
    >>> move = follow_reshape((None, 4), (None, 2, 2), 1, np.arange(4))
    >>> move.axis, move.coupled
    (2, array([[0, 1],
           [2, 3]]))
    """
    block = block_of(old, new, axis)
    if block is None:
        return None
    before, after = block
    sizes = [int(new[k] or 0) for k in after]
    inside = [int(old[k] or 0) for k in before]
    shape = [len(ids) if k == axis else 1 for k in before]
    expanded = np.broadcast_to(ids.reshape(shape), inside).reshape(sizes)
    position = _varying(expanded)
    coupled = np.moveaxis(expanded, position, -1).reshape(-1, sizes[position])
    inner = prod(inside[axis - before.start + 1 :])
    return ReshapedAxis(
        before,
        after,
        after[position],
        coupled[0],
        coupled,
        inner == prod(sizes[position + 1 :]),
    )


def _varying(expanded: np.ndarray) -> int:
    """Returns the only axis along which the units differ, else a long one."""
    differ = [
        axis
        for axis in range(expanded.ndim)
        if (np.diff(expanded, axis=axis) != 0).any()
    ]
    if len(differ) == 1:
        return differ[0]
    return max((k for k, n in enumerate(expanded.shape) if n > 1), default=0)


def block_of(old: Shape, new: Shape, axis: int) -> tuple[range, range] | None:
    """Returns the smallest block of axes around `axis`, before and after."""
    found = [b for b in _blocks(old, new) if axis in b[0]]
    i, j = len(old), len(new)
    for before, after in _blocks(old[::-1], new[::-1], batch=False):
        turned = (
            range(i - before.stop, i - before.start),
            range(j - after.stop, j - after.start),
        )
        if axis in turned[0]:
            found.append(turned)
    return min(found, key=lambda b: len(b[0]) + len(b[1]), default=None)


def _blocks(
    old: Shape, new: Shape, *, batch: bool = True
) -> Iterator[tuple[range, range]]:
    """Yields blocks of equal size from the left, up to unknown sizes."""
    i = j = 0
    while i < len(old) and j < len(new):
        start, a, b = (i, j), old[i], new[j]
        i, j = i + 1, j + 1
        if a is None or b is None:
            if not (batch and start == (0, 0) and a is b):
                return
        else:
            while a != b:
                shape, position = (old, i) if a < b else (new, j)
                size = shape[position] if position < len(shape) else None
                if size is None:
                    return
                if a < b:
                    a, i = a * size, i + 1
                else:
                    b, j = b * size, j + 1
        yield range(start[0], i), range(start[1], j)
