"""Non-dominated sorting and crowding distance; all losses are minimized."""

import numpy as np


def dominates(
    scores: np.ndarray, violations: np.ndarray | None = None
) -> np.ndarray:
    """Returns whether each row's point dominates each column's, `(n, n)`.

    A point dominates another if it is nowhere worse and somewhere better;
    `scores` has the shape `(n, m)`. A point without violation (0) dominates
    one with violation; of two with violation the smaller one dominates.
    """
    left, right = scores[:, None, :], scores[None, :, :]
    better = (left <= right).all(axis=2) & (left < right).any(axis=2)
    if violations is None:
        return better
    mine, theirs = violations[:, None], violations[None, :]
    return np.where((mine > 0) | (theirs > 0), mine < theirs, better)


def front_ranks(
    scores: np.ndarray, violations: np.ndarray | None = None
) -> np.ndarray:
    """Returns the front of each point, shape `(n,)`: 0 if non-dominated."""
    better = dominates(scores, violations)
    found = np.full(len(scores), -1)
    front = 0
    while (found < 0).any():
        left = found < 0
        beaten = better[left].any(axis=0)
        found[left & ~beaten] = front
        front += 1
    return found


def crowding_distance(scores: np.ndarray) -> np.ndarray:
    """Computes the crowding distance of each point of a front, `(n,)`.

    It is the sum of the sides of the box between the neighbours, each
    relative to its range; `inf` at the ends.
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


def select_points(
    scores: np.ndarray, count: int, violations: np.ndarray | None = None
) -> np.ndarray:
    """Selects by front, and in the last front by crowding distance.

    Returns the indices of at most `count` points, best front first.
    """
    front_of = front_ranks(scores, violations)
    kept: list[int] = []
    for front in range(front_of.max(initial=-1) + 1):
        members = np.flatnonzero(front_of == front)
        room = count - len(kept)
        if len(members) > room:
            distances = crowding_distance(scores[members])
            members = members[np.argsort(-distances, kind="stable")[:room]]
        kept += members.tolist()
    return np.array(kept, dtype=int)
