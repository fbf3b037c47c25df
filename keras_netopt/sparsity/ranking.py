"""Exact choice of the lowest scores, with ties broken by flat index."""

import numpy as np


def mark_lowest(
    scores: np.ndarray, count: int, first: np.ndarray | None = None
) -> np.ndarray:
    """Marks exactly `count` positions with the lowest scores.

    Equal scores go in the order of their index, so the same input always
    gives the same answer, also for a constant array.

    Example:

    >>> import numpy as np
    >>> mark_lowest(np.array([3.0, 1.0, 1.0, 2.0]), 1)
    array([False,  True, False, False])
    >>> mark_lowest(np.ones(4), 2, first=np.array([False, False, False, True]))
    array([ True, False, False,  True])

    Args:
        scores: Array of shape `(n,)` without NaN.
        count: How many to mark, from 0 to `n`.
        first: Boolean array of shape `(n,)`: these go before all others, in
            the order of their own scores. Defaults to `None`.

    Returns:
        Boolean array of shape `(n,)`.
    """
    ahead = 0 if first is None else int(np.count_nonzero(first))
    if first is None or ahead == 0:
        return _mark_lowest(scores, count)
    if count > ahead:
        # Ranking the others only: a partition of many equal values is slow.
        chosen = first.copy()
        chosen[~first] = _mark_lowest(scores[~first], count - ahead)
        return chosen
    chosen = np.zeros(scores.size, bool)
    chosen[first] = _mark_lowest(scores[first], count)
    return chosen


def _mark_lowest(scores: np.ndarray, count: int) -> np.ndarray:
    if count <= 0:
        return np.zeros(scores.size, bool)
    if count >= scores.size:
        return np.ones(scores.size, bool)
    # Only the value at the border is looked for: a partition of the values is
    # faster than one of the indices, and leaves the ties to us.
    border = np.partition(scores, count - 1)[count - 1]
    chosen = scores < border
    ties = np.flatnonzero(scores == border)
    chosen[ties[: count - np.count_nonzero(chosen)]] = True
    return chosen


def mark_lowest_units(
    scores: np.ndarray,
    sizes: np.ndarray,
    weights: int,
    first: np.ndarray | None = None,
) -> np.ndarray:
    """Marks the lowest units that together hold about `weights` weights.

    Whole units are taken in the order of their scores, as many as come
    nearest to `weights`; exactly `weights` where every unit is one weight.

    Example:

    >>> import numpy as np
    >>> mark_lowest_units(np.array([0.1, 0.3, 0.2]), np.array([4, 4, 2]), 6)
    array([ True, False,  True])

    Args:
        scores: Score of each unit, shape `(n,)`.
        sizes: Weights in each unit, shape `(n,)`.
        weights: How many weights to mark.
        first: UnitScores that go before all others. Defaults to `None`.

    Returns:
        Boolean array of shape `(n,)`.
    """
    if sizes.size == 0 or sizes.min() == sizes.max():
        size = int(sizes[0]) if sizes.size else 1
        return mark_lowest(scores, _nearest_multiple(weights, size), first)
    keys = (scores,) if first is None else (scores, ~first)
    order = np.lexsort(keys)
    reached = np.concatenate([[0], np.cumsum(sizes[order])])
    count = int(np.argmin(np.abs(reached - weights)))
    ahead = 0 if first is None else int(np.count_nonzero(first))
    if 2 * (reached[ahead] - weights) <= sizes.max():
        # They came as near as they could before: masks nest.
        count = max(count, ahead)
    chosen: np.ndarray = np.zeros(scores.size, bool)
    chosen[order[:count]] = True
    return chosen


def _nearest_multiple(weights: int, size: int) -> int:
    """Units nearest to `weights`; of two equally near the smaller number."""
    return (2 * weights + size - 1) // (2 * size)


def mark_lowest_in_columns(
    scores: np.ndarray, count: int, first: np.ndarray | None = None
) -> np.ndarray:
    """Marks exactly `count` positions in every column of a matrix.

    Args:
        scores: Array of shape `(rows, columns)` without NaN.
        count: How many to mark in each column.
        first: Boolean array of the same shape: these go first. Defaults to
            `None`.

    Returns:
        Boolean array of shape `(rows, columns)`.
    """
    if count <= 0 or count >= scores.shape[0]:
        return np.full(scores.shape, count > 0)
    if first is not None and first.any():
        if (first.sum(axis=0) > count).any():
            order = np.lexsort((scores, ~first), axis=0)
            chosen: np.ndarray = np.zeros(scores.shape, bool)
            np.put_along_axis(chosen, order[:count], True, axis=0)
            return chosen
        scores = np.where(first, -np.inf, scores)
    border = np.partition(scores, count - 1, axis=0)[count - 1]
    chosen = scores < border
    ties = scores == border
    missing = count - chosen.sum(axis=0)
    if np.array_equal(missing, ties.sum(axis=0)):
        return chosen | ties
    return chosen | (ties & (np.cumsum(ties, axis=0) <= missing))
