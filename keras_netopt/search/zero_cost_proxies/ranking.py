"""Ranks candidates by one proxy or by several."""

from collections.abc import Mapping, Sequence

import numpy as np


def combine_scores(scores: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Returns the mean rank of each candidate over its proxies.

    Proxies have different units, so each ranks the candidates by itself; the
    combined score is the mean of the ranks.

    Example:

    >>> combine_scores([{"a": 1, "b": 5}, {"a": 2, "b": 7}, {"a": 3, "b": 6}])
    array([0.  , 0.75, 0.75])

    Args:
        scores: The scores of each candidate by proxy, as of
            `search.zero_cost`; the same proxies for all, higher is better.

    Returns:
        One number per candidate in [0, 1]: 0 for the worst by every proxy, 1
        for the best. Equal scores share their mean rank; NaN ranks as -inf.

    Raises:
        ValueError: If the candidates have different proxies.
    """
    names = sorted({name for row in scores for name in row})
    for row in scores:
        if sorted(row) != names:
            raise ValueError(
                "Argument `scores` must hold the same proxies for each "
                f"candidate. Received: {sorted(row)} and {names}"
            )
    if not scores or not names:
        return np.zeros(len(scores))
    ranks = [
        rank_values([float(row[name]) for row in scores]) for name in names
    ]
    return np.asarray(np.mean(ranks, axis=0))


def rank_values(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Returns ranks in [0, 1]; equal values share the mean, NaN is -inf."""
    found = np.where(np.isnan(values), -np.inf, values)
    _, inverse, counts = np.unique(
        found, return_inverse=True, return_counts=True
    )
    last = np.cumsum(counts)
    middle = last - (counts + 1) / 2
    return np.asarray(middle[inverse] / max(len(found) - 1, 1))
