"""Finds the score that separates the lowest of many scores from the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Part = tuple[np.ndarray, np.ndarray | None]
_SAMPLES = 2**16
_CHUNK = 2**16


@dataclass(frozen=True)
class ScoreCut:
    """Where a ranking is cut.

    Args:
        value: Scores below it are the lowest.
        ties: Number of scores equal to it that are the lowest too, the first
            by index.
        above: Number of scores greater than `value` in each part.
    """

    value: Any
    ties: int
    above: tuple[int, ...]


def find_cut(
    read: Callable[[int], Part], sizes: Sequence[int], count: int
) -> ScoreCut:
    """Finds the cut below which exactly `count` scores lie, ties resolved.

    The scores come in parts, which are read one at a time, several times. A
    random sample brackets the cut. Only the scores in the bracket are kept in
    memory and sorted; if the cut is outside, the bracket is widened. So the
    result is exact and independent of the sample.

    Example:

    >>> import numpy as np
    >>> parts = [np.array([4.0, 1.0]), np.array([3.0, 1.0, 2.0])]
    >>> find_cut(lambda i: (parts[i], None), [2, 3], 3)
    ScoreCut(value=np.float64(2.0), ties=1, above=(1, 1))

    Args:
        read: Returns the scores of a part by its index, a vector without NaN,
            and a boolean vector of those to rank, or `None` for all.
        sizes: Number of scores to rank in each part.
        count: Number of scores to mark, from 1 to all.
    """
    total = sum(sizes)
    sample = _draw(read, len(sizes), total) if total > _SAMPLES else None
    deviations = 4.0
    while True:
        low, high = _bracket(sample, count / total, deviations)
        below, inside, above = 0, [], []
        for i in range(len(sizes)):
            found = _split(*read(i), low, high)
            below += found[0]
            inside.append(found[1])
            above.append(sizes[i] - found[0] - inside[-1].size)
        joined = np.concatenate(inside)
        place = count - below - 1
        if 0 <= place < joined.size:
            break
        deviations *= 8
    joined.partition(place)
    value = joined[place]
    ties = place + 1 - int(np.count_nonzero(joined[:place] < value))
    over = (int(np.count_nonzero(part > value)) for part in inside)
    pairs = zip(above, over, strict=True)
    return ScoreCut(value, ties, tuple(a + b for a, b in pairs))


def mark_below(
    scores: np.ndarray, ranked: np.ndarray | None, value: Any, ties: int
) -> np.ndarray:
    """Marks the ranked scores below a value and the first `ties` equal to it.

    Args:
        scores: A vector of scores.
        ranked: Which of them are ranked, or `None` for all.
        value: The value of a `ScoreCut`.
        ties: Number of equal scores to mark; there may be fewer.
    """
    chosen = scores < value
    if ranked is not None:
        chosen &= ranked
    if ties:
        equal = np.flatnonzero(scores == value)
        if ranked is not None:
            equal = equal[ranked[equal]]
        chosen[equal[:ties]] = True
    return chosen


def _draw(read: Callable[[int], Part], parts: int, total: int) -> np.ndarray:
    """Draws a sorted sample of about `_SAMPLES` scores of all parts."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(parts):
        scores, ranked = read(i)
        draws = -(-_SAMPLES * scores.size // total)
        places = rng.integers(0, max(1, scores.size), min(draws, scores.size))
        if ranked is not None:
            places = places[ranked[places]]
        found.append(scores[places])
    return np.sort(np.concatenate(found))


def _bracket(
    sample: np.ndarray | None, share: float, deviations: float
) -> tuple[Any, Any]:
    """Returns values around the quantile of a share."""
    if sample is None:
        return -np.inf, np.inf
    slack = deviations * np.sqrt(sample.size * share * (1.0 - share)) + 2.0
    first = int(np.floor(sample.size * share - slack))
    last = int(np.ceil(sample.size * share + slack))
    low = sample[first] if first >= 0 else -np.inf
    return low, sample[last] if last < sample.size else np.inf


def _split(
    scores: np.ndarray, ranked: np.ndarray | None, low: Any, high: Any
) -> tuple[int, np.ndarray]:
    """Counts the scores below a bracket and returns those in it."""
    below, found = 0, [scores[:0]]
    for begin in range(0, scores.size, _CHUNK):
        chunk = scores[begin : begin + _CHUNK]
        under = chunk < low
        inside = chunk <= high
        inside ^= under
        if ranked is not None:
            under &= ranked[begin : begin + _CHUNK]
            inside &= ranked[begin : begin + _CHUNK]
        below += int(np.count_nonzero(under))
        found.append(chunk[inside])
    return below, np.concatenate(found)
