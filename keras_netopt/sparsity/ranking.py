"""Exact selection of the lowest scores; ties are broken by index."""

import numpy as np

from keras_netopt.sparsity.score_cut import find_cut, mark_below


def mark_lowest(
    scores: np.ndarray, count: int, first: np.ndarray | None = None
) -> np.ndarray:
    """Marks exactly `count` of `n` positions with the lowest scores.

    Equal scores are marked in the order of their index, so the same input
    gives the same result. The positions in `first`, a boolean array, are
    marked before all others, in the order of their scores. Scores must not be
    NaN.

    Example:

    >>> import numpy as np
    >>> mark_lowest(np.array([3.0, 1.0, 1.0, 2.0]), 1)
    array([False,  True, False, False])
    >>> mark_lowest(np.ones(4), 2, first=np.array([False, False, False, True]))
    array([ True, False, False,  True])
    """
    ahead = 0 if first is None else int(np.count_nonzero(first))
    if first is None or ahead == 0:
        return _mark_lowest(scores, None, scores.size, count)
    if count <= ahead:
        return _mark_lowest(scores, first, ahead, count)
    # Only the others are ranked.
    left = scores.size - ahead
    return first | _mark_lowest(scores, ~first, left, count - ahead)


def _mark_lowest(
    scores: np.ndarray, ranked: np.ndarray | None, size: int, count: int
) -> np.ndarray:
    if count <= 0:
        return np.zeros(scores.size, bool)
    if count >= size:
        return np.ones(scores.size, bool) if ranked is None else ranked.copy()
    cut = find_cut(lambda i: (scores, ranked), [size], count)
    return mark_below(scores, ranked, cut.value, cut.ties)


def mark_lowest_units(
    scores: np.ndarray,
    sizes: np.ndarray,
    weights: int,
    first: np.ndarray | None = None,
) -> np.ndarray:
    """Marks the lowest units that together have about `weights` weights.

    Whole units are marked in the order of their scores, as many as come
    nearest to `weights`; exactly `weights` if every unit is one weight. All
    arrays have one entry per unit; units in `first` are marked before all
    others.
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
        # The units in `first` are as near as possible: masks stay nested.
        count = max(count, ahead)
    chosen: np.ndarray = np.zeros(scores.size, bool)
    chosen[order[:count]] = True
    return chosen


def _nearest_multiple(weights: int, size: int) -> int:
    """Returns the number of units nearest to `weights`, the smaller of two."""
    return (2 * weights + size - 1) // (2 * size)


def mark_lowest_in_columns(
    scores: np.ndarray, count: int, first: np.ndarray | None = None
) -> np.ndarray:
    """Marks exactly `count` positions in every column of a matrix.

    Positions in `first` are marked before all others; scores must not be NaN.
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
    threshold = np.partition(scores, count - 1, axis=0)[count - 1]
    chosen = scores < threshold
    ties = scores == threshold
    missing = count - chosen.sum(axis=0)
    if np.array_equal(missing, ties.sum(axis=0)):
        return chosen | ties
    return chosen | (ties & (np.cumsum(ties, axis=0) <= missing))
