"""Orders that keep every class in every beginning of the data."""

import numpy as np


def guarded_order(
    order: np.ndarray,
    labels: np.ndarray | None,
    *,
    share: float = 0.5,
    min_per_class: int = 1,
) -> np.ndarray:
    """Moves samples forward where the first ones would lack a class.

    The first k samples then hold at least `share` of each class's share of
    all data (for k from twice the number of classes on), and the rest in the
    order given. An order that does so by itself is returned as it is.

    Example:

    >>> import numpy as np
    >>> labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> guarded_order(np.arange(8), labels, share=1.0)
    array([0, 4, 1, 5, 2, 6, 3, 7])
    >>> guarded_order(np.arange(8), None)
    array([0, 1, 2, 3, 4, 5, 6, 7])

    Args:
        order: Sample ids, first ones first, each once.
        labels: Class number of each sample, from 0, or `None` for data
            without classes: the order is returned as it is.
        share: Part of its share that each class keeps, in [0, 1]; 1 fills
            every beginning class by class. Defaults to `0.5`.
        min_per_class: Samples of each class at the very front, at least 0.
            Defaults to `1`.

    Returns:
        The ids in their new order.
    """
    if labels is None or (share == 0.0 and min_per_class == 0):
        return order
    sequence = _class_by_class(labels[order], min_per_class)
    classes = int(labels.max()) + 1
    reserve = (
        classes * max(1, min_per_class) if share else (classes * min_per_class)
    )
    deadline = _deadlines(len(order), share, reserve)
    if (sequence + 1 <= deadline).all():
        return order
    return order[_merge(sequence, deadline)]


def _class_by_class(ranked: np.ndarray, front: int) -> np.ndarray:
    """Places such that any first part holds each class by its share."""
    counts = np.bincount(ranked)
    by_class = np.argsort(ranked, kind="stable")
    starts: np.ndarray = np.repeat(np.cumsum(counts) - counts, counts)
    place: np.ndarray = np.empty(len(ranked), dtype="int64")
    place[by_class] = np.arange(len(ranked)) - starts
    due = place / counts[ranked]
    due[place < front] = -1.0
    return np.argsort(due, kind="stable")


def _deadlines(count: int, share: float, reserve: int) -> np.ndarray:
    """The length of a first part from which each item must be in it."""
    items = np.arange(count)
    latest = np.full(count, float(count))
    if share > 0.0:
        latest = np.floor((items - reserve) / share) + 1.0
    latest = np.where(items < reserve, 0.0, latest)
    return np.maximum(items + 1, np.minimum(latest, count)).astype("int64")


def _merge(sequence: np.ndarray, deadline: np.ndarray) -> np.ndarray:
    """Takes the next in order, or whom the guard demands at this place."""
    demanded, due = sequence.tolist(), deadline.tolist()
    count = len(demanded)
    placed = bytearray(count)
    found = []
    next_free = next_demand = 0
    for length in range(1, count + 1):
        chosen = -1
        if next_demand < count and due[next_demand] <= length:
            if not placed[demanded[next_demand]]:
                chosen = demanded[next_demand]
            next_demand += 1
        if chosen < 0:
            while placed[next_free]:
                next_free += 1
            chosen = next_free
        placed[chosen] = 1
        found.append(chosen)
    return np.array(found)


def coverage(ids: np.ndarray, labels: np.ndarray | None) -> float | None:
    """Returns the smallest share of a class among ids over its share of all.

    Example:

    >>> import numpy as np
    >>> coverage(np.array([0, 1, 4, 2]), np.array([0, 0, 0, 0, 1, 1, 1, 1]))
    0.5

    Args:
        ids: Sample ids.
        labels: Class number of each sample, or `None`.

    Returns:
        1 where the classes are as in all data, 0 where one is missing;
        `None` without labels.
    """
    if labels is None:
        return None
    total = np.bincount(labels)
    here = np.bincount(labels[ids], minlength=len(total))
    shares = (here / len(ids)) / (total / len(labels))
    return float(shares.min())
