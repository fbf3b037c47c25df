"""Thresholds for exits, searched on arrays alone.

Scores are of shape `(samples, exits)`, the final exit last, and higher is
surer. A sample leaves at the first exit where its score is at least the
threshold; the threshold of the last exit is minus infinity, so that nobody
falls off the end.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

SWEEP = tuple(p / 20 for p in range(1, 40))
LEVELS = 40


@dataclass(frozen=True)
class ExitPoint:
    """What one choice of thresholds gives.

    Example:

    >>> point = ExitPoint((0.9, -math.inf), (0.5, 0.5), 0.8, 120.0)
    >>> point.fractions
    (0.5, 0.5)

    Args:
        thresholds: The score that is enough, an exit; infinity: nobody
            leaves, minus infinity: everybody does.
        fractions: The share of samples that leave at each exit.
        accuracy: The share that is right.
        cost: The mean cost of a sample.
        lost: Samples that are wrong here and right at the end. Defaults to
            `0`.
    """

    thresholds: tuple[float, ...]
    fractions: tuple[float, ...]
    accuracy: float
    cost: float
    lost: int = 0


def thresholds_for(
    scores: np.ndarray, fractions: Iterable[float]
) -> tuple[float, ...]:
    """Finds the thresholds that let given shares of samples leave.

    The threshold of exit k is the score of the floor(n p_k)-th surest sample
    that has not left before.

    Example:

    >>> import numpy as np
    >>> scores = np.array([[0.9, 0.5], [0.6, 0.8], [0.7, 0.4], [0.1, 0.2]])
    >>> thresholds_for(scores, (0.5, 0.5))
    (0.7, -inf)

    Args:
        scores: Shape `(samples, exits)`.
        fractions: The share of all samples that is to leave at each exit.

    Returns:
        One threshold an exit, the last minus infinity.

    Reference:
        Huang et al., *Multi-Scale Dense Networks for Resource Efficient Image
        Classification*, 2017, arXiv 1703.09844, section 4.
    """
    count, exits = scores.shape
    inside = np.ones(count, bool)
    found = []
    for k, share in enumerate(list(fractions)[: exits - 1]):
        # 0.3 * 10 is 2.9999999999999996.
        wanted = math.floor(count * share + 1e-9)
        held = np.sort(scores[inside, k])[::-1]
        if wanted < 1 or not len(held):
            found.append(math.inf)
            continue
        found.append(float(held[min(wanted, len(held)) - 1]))
        inside &= scores[:, k] < found[-1]
    return (*found, -math.inf)


def leave(scores: np.ndarray, thresholds: Iterable[float]) -> np.ndarray:
    """Returns the exit at which each sample leaves.

    Example:

    >>> import numpy as np
    >>> leave(np.array([[0.9, 0.5], [0.6, 0.8]]), (0.7, -math.inf))
    array([0, 1])

    Args:
        scores: Shape `(samples, exits)`.
        thresholds: One an exit.

    Returns:
        Integers of shape `(samples,)`.
    """
    return np.asarray((scores >= np.array(tuple(thresholds))).argmax(axis=1))


def evaluate_point(
    scores: np.ndarray,
    correct: np.ndarray,
    costs: np.ndarray,
    thresholds: tuple[float, ...],
) -> ExitPoint:
    """Measures one choice of thresholds.

    Args:
        scores: Shape `(samples, exits)`.
        correct: Whether each exit is right, of the same shape.
        costs: What a sample costs that leaves at each exit.
        thresholds: One an exit, the last minus infinity.

    Returns:
        Fractions, accuracy and mean cost.
    """
    chosen = leave(scores, thresholds)
    right = np.take_along_axis(correct, chosen[:, None], axis=1)[:, 0]
    shares = np.bincount(chosen, minlength=len(costs)) / len(scores)
    return ExitPoint(
        thresholds,
        tuple(float(share) for share in shares),
        float(right.mean()),
        float(shares @ np.asarray(costs, "float64")),
        int((correct[:, -1] & ~right).sum()),
    )


def sweep(
    scores: np.ndarray, correct: np.ndarray, costs: np.ndarray
) -> tuple[ExitPoint, ...]:
    """Measures many choices: never, always, and two families between.

    The first family lets shares proportional to q^k leave, for q in 1/20 to
    39/20; the second asks the same score of every exit.

    Args:
        scores: Shape `(samples, exits)`.
        correct: Whether each exit is right, of the same shape.
        costs: What a sample costs that leaves at each exit.

    Returns:
        The points, cheapest first, each one once.

    Raises:
        ValueError: If a score is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError(
            "Argument `x` must give answers that are numbers. Received: NaN "
            f"for {int(np.isnan(scores).any(axis=1).sum())} of {len(scores)} "
            "samples. Look for NaN in the data and in the weights"
        )
    exits = scores.shape[1]
    choices = {
        (math.inf,) * (exits - 1) + (-math.inf,),
        (-math.inf,) * exits,
    }
    for q in SWEEP:
        shares = q ** np.arange(exits, dtype="float64")
        choices.add(thresholds_for(scores, shares / shares.sum()))
    early = scores[:, :-1]
    for level in np.quantile(early, np.linspace(0.0, 1.0, LEVELS)):
        choices.add((float(level),) * (exits - 1) + (-math.inf,))
    points = [evaluate_point(scores, correct, costs, c) for c in choices]
    return tuple(sorted(points, key=lambda p: (p.cost, -p.accuracy, p.lost)))


def pareto(points: Iterable[ExitPoint]) -> tuple[ExitPoint, ...]:
    """Keeps the points that no cheaper one equals in accuracy.

    Args:
        points: Any points.

    Returns:
        The front, cheapest first.
    """
    best, front = -math.inf, []
    for point in sorted(points, key=lambda p: (p.cost, -p.accuracy)):
        if point.accuracy > best:
            front.append(point)
            best = point.accuracy
    return tuple(front)


def cheapest_within(
    points: Iterable[ExitPoint],
    full_accuracy: float,
    max_drop: float,
    *,
    samples: int,
    confidence: float | None = None,
) -> ExitPoint:
    """Chooses the cheapest point that loses little enough.

    With `confidence` a point counts only where the upper bound on the share
    of samples that it loses is small enough. Points are tried from the
    dearest on and the first that fails ends the search, so that trying many
    needs no correction. Never leaving loses nothing and needs no proof.

    Args:
        points: What `sweep` returned.
        full_accuracy: The accuracy of the final exit.
        max_drop: What may be lost, a share.
        samples: Number of samples that were measured.
        confidence: Probability with which the bound holds, in (0, 1).
            Defaults to `None`: the measured accuracy counts.

    Returns:
        The point.

    Reference:
        Schuster et al., *Confident Adaptive Language Modeling*, 2022, arXiv
        2207.07061: learn then test.
    """
    ordered = sorted(points, key=lambda p: (-p.cost, -p.accuracy))
    never = next(p for p in ordered if set(p.thresholds[:-1]) <= {math.inf})
    if confidence is None:
        fine = [
            p for p in ordered if p.accuracy >= full_accuracy - max_drop - 1e-12
        ]
        return min(fine, key=lambda p: (p.cost, -p.accuracy), default=never)
    chosen = never
    for point in ordered:
        if point is never or point.cost > never.cost:
            continue
        if upper_bound(point.lost, samples, confidence) > max_drop:
            break
        chosen = point
    return chosen


def best_within(points: Iterable[ExitPoint], budget: float) -> ExitPoint | None:
    """Chooses the most accurate point that costs little enough.

    Args:
        points: What `sweep` returned.
        budget: Largest mean cost.

    Returns:
        The point; `None` where even the cheapest costs more.
    """
    fine = [p for p in points if p.cost <= budget * (1 + 1e-12)]
    return max(fine, key=lambda p: (p.accuracy, -p.cost), default=None)


def upper_bound(events: int, samples: int, confidence: float) -> float:
    """Bounds a share from above, after Clopper and Pearson.

    Example:

    >>> round(upper_bound(0, 100, 0.95), 4)
    0.0295

    Args:
        events: How often it happened.
        samples: How often it could have.
        confidence: Probability that the bound holds, in (0, 1).

    Returns:
        The largest share that is not refuted.
    """
    if events >= samples:
        return 1.0
    low, high = events / samples, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(events, samples, middle) > 1.0 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(events: int, samples: int, share: float) -> float:
    """The probability of at most so many events, each of this share."""
    if share >= 1.0:
        return 0.0
    k = np.arange(events + 1)
    steps = np.log((samples - k[:-1]) / (k[:-1] + 1.0))
    choose = np.concatenate([[0.0], np.cumsum(steps)])
    logs = choose + k * math.log(max(share, 1e-300))
    logs = logs + (samples - k) * math.log1p(-share)
    return float(np.exp(logs).sum())
