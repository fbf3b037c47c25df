"""Which of many points with several scores are the best: all minimised."""

import numpy as np


def dominates(
    scores: np.ndarray, violations: np.ndarray | None = None
) -> np.ndarray:
    """Says which points are better than which others.

    A point is better if it is nowhere worse and somewhere better; one that
    keeps the constraints is better than one that breaks them, and of two that
    break them the one that breaks them less.

    Example:

    >>> dominates(np.array([[1.0, 1.0], [2.0, 1.0], [0.0, 3.0]])).tolist()
    [[False, True, False], [False, False, False], [False, False, False]]

    Args:
        scores: Shape `(n, m)`.
        violations: How much each point breaks the constraints, shape `(n,)`,
            0 for not at all. Defaults to `None`: nowhere.

    Returns:
        Shape `(n, n)`: whether the row's point is better than the column's.
    """
    left, right = scores[:, None, :], scores[None, :, :]
    better = (left <= right).all(axis=2) & (left < right).any(axis=2)
    if violations is None:
        return better
    mine, theirs = violations[:, None], violations[None, :]
    return np.where((mine > 0) | (theirs > 0), mine < theirs, better)


def ranks(
    scores: np.ndarray, violations: np.ndarray | None = None
) -> np.ndarray:
    """Sorts points into fronts: 0 for those that none is better than.

    Example:

    >>> ranks(np.array([[1.0, 1.0], [2.0, 1.0], [0.0, 3.0]])).tolist()
    [0, 1, 0]

    Args:
        scores: Shape `(n, m)`.
        violations: As in `dominates`. Defaults to `None`.

    Returns:
        Shape `(n,)`.
    """
    better = dominates(scores, violations)
    found = np.full(len(scores), -1)
    front = 0
    while (found < 0).any():
        left = found < 0
        beaten = better[left].any(axis=0)
        found[left & ~beaten] = front
        front += 1
    return found


def crowding(scores: np.ndarray) -> np.ndarray:
    """Measures how alone each point of a front is.

    Example:

    >>> crowding(np.array([[0.0, 4.0], [1.0, 2.0], [4.0, 0.0]])).tolist()
    [inf, 2.0, inf]

    Args:
        scores: Shape `(n, m)`.

    Returns:
        Shape `(n,)`: the sides of the box between the neighbours, each as a
        share of its range; `inf` at the ends.
    """
    total = np.zeros(len(scores))
    for column in scores.T:
        order = np.argsort(column, kind="stable")
        ranked = column[order]
        total[order[[0, -1]]] = np.inf
        ends = ranked[[0, -1]]
        if np.isfinite(ends).all() and ends[0] < ends[1]:
            total[order[1:-1]] += (ranked[2:] - ranked[:-2]) / np.ptp(ends)
    return total


def select(
    scores: np.ndarray, count: int, violations: np.ndarray | None = None
) -> np.ndarray:
    """Keeps the best points: front by front, of the last the loneliest.

    Args:
        scores: Shape `(n, m)`.
        count: How many to keep.
        violations: As in `dominates`. Defaults to `None`.

    Returns:
        Indices of at most `count` points, best front first.
    """
    front_of = ranks(scores, violations)
    kept: list[int] = []
    for front in range(front_of.max(initial=-1) + 1):
        members = np.flatnonzero(front_of == front)
        room = count - len(kept)
        if len(members) > room:
            alone = crowding(scores[members])
            members = members[np.argsort(-alone, kind="stable")[:room]]
        kept += members.tolist()
    return np.array(kept, dtype=int)
