"""Class coverage: every class among the first samples of an order."""

import numpy as np


def enforce_class_coverage(
    order: np.ndarray,
    labels: np.ndarray | None,
    *,
    min_share: float = 0.5,
    min_samples: int = 1,
) -> np.ndarray:
    """Moves samples forward so that the first k hold every class, for each k.

    The first k samples then hold at least `min_share` of each class's share of
    all data (for k from twice the number of classes on). Other samples stay
    in the given order. `min_samples` of each class are at the front. An order
    with sufficient coverage, or without labels, is returned as is.

    Example:

    >>> import numpy as np
    >>> labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> enforce_class_coverage(np.arange(8), labels, min_share=1.0)
    array([0, 4, 1, 5, 2, 6, 3, 7])
    """
    if labels is None or (min_share == 0.0 and min_samples == 0):
        return order
    sequence = _class_by_class(labels[order], min_samples)
    classes = int(labels.max()) + 1
    reserve = classes * (max(1, min_samples) if min_share else min_samples)
    deadline = _deadlines(len(order), min_share, reserve)
    if (sequence + 1 <= deadline).all():
        return order
    return order[_merge(sequence, deadline)]


def _class_by_class(ranked: np.ndarray, front: int) -> np.ndarray:
    """Returns positions such that the first k hold each class by its share."""
    counts = np.bincount(ranked)
    by_class = np.argsort(ranked, kind="stable")
    starts: np.ndarray = np.repeat(np.cumsum(counts) - counts, counts)
    place: np.ndarray = np.empty(len(ranked), dtype="int64")
    place[by_class] = np.arange(len(ranked)) - starts
    due = place / counts[ranked]
    due[place < front] = -1.0
    return np.argsort(due, kind="stable")


def _deadlines(count: int, min_share: float, reserve: int) -> np.ndarray:
    """Returns the smallest k whose first k items must include each item."""
    items = np.arange(count)
    latest = np.full(count, float(count))
    if min_share > 0.0:
        latest = np.floor((items - reserve) / min_share) + 1.0
    latest = np.where(items < reserve, 0.0, latest)
    return np.maximum(items + 1, np.minimum(latest, count)).astype("int64")


def _merge(sequence: np.ndarray, deadline: np.ndarray) -> np.ndarray:
    """Takes the next item in order, or the one whose deadline is reached."""
    required, due = sequence.tolist(), deadline.tolist()
    count = len(required)
    placed = bytearray(count)
    found = []
    next_free = next_required = 0
    for length in range(1, count + 1):
        chosen = -1
        if next_required < count and due[next_required] <= length:
            if not placed[required[next_required]]:
                chosen = required[next_required]
            next_required += 1
        if chosen < 0:
            while placed[next_free]:
                next_free += 1
            chosen = next_free
        placed[chosen] = 1
        found.append(chosen)
    return np.array(found)


def class_coverage(ids: np.ndarray, labels: np.ndarray | None) -> float | None:
    """Returns the smallest relative share of a class among some samples.

    The relative share is the share among the samples over the share in all
    data: 1 for the class distribution of all data, 0 if a class is missing.
    Without labels the result is `None`.

    Example:

    >>> import numpy as np
    >>> labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> class_coverage(np.array([0, 1, 4, 2]), labels)
    0.5
    """
    if labels is None:
        return None
    total = np.bincount(labels)
    here = np.bincount(labels[ids], minlength=len(total))
    shares = (here / len(ids)) / (total / len(labels))
    return float(shares.min())
