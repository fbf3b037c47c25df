"""Searches exit thresholds on arrays.

Scores have the shape `(samples, exits)`, the final exit last; higher is more
confident. A sample takes the first exit whose score is at least the
threshold. The threshold of the final exit is minus infinity, so every sample
takes an exit.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

SWEEP = tuple(p / 20 for p in range(1, 40))
LEVELS = 40


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds, with exit fractions, accuracy and cost.

    Example:

    >>> point = OperatingPoint((0.9, -math.inf), (0.5, 0.5), 0.8, 120.0)
    >>> point.fractions
    (0.5, 0.5)

    Args:
        thresholds: One score per exit: infinity disables the exit, minus
            infinity always exits.
        fractions: Share of samples that take each exit.
        accuracy: Share of correct predictions.
        cost: Mean cost per sample.
        lost: Samples that are wrong here and correct at the final exit.
            Defaults to `0`.
    """

    thresholds: tuple[float, ...]
    fractions: tuple[float, ...]
    accuracy: float
    cost: float
    lost: int = 0


def thresholds_for_fractions(
    scores: np.ndarray, fractions: Iterable[float]
) -> tuple[float, ...]:
    """Finds the thresholds with given exit fractions, as in MSDNet, section 4.

    The threshold of exit k is the floor(n p_k)-th highest score among the
    samples that have not exited before; p_k is a share of all samples.

    Example:

    >>> import numpy as np
    >>> scores = np.array([[0.9, 0.5], [0.6, 0.8], [0.7, 0.4], [0.1, 0.2]])
    >>> thresholds_for_fractions(scores, (0.5, 0.5))
    (0.7, -inf)
    """
    count, exits = scores.shape
    remaining = np.ones(count, bool)
    thresholds = []
    for k, share in enumerate(list(fractions)[: exits - 1]):
        # 0.3 * 10 is 2.9999999999999996.
        wanted = math.floor(count * share + 1e-9)
        ordered = np.sort(scores[remaining, k])[::-1]
        if wanted < 1 or not len(ordered):
            thresholds.append(math.inf)
            continue
        thresholds.append(float(ordered[min(wanted, len(ordered)) - 1]))
        remaining &= scores[:, k] < thresholds[-1]
    return (*thresholds, -math.inf)


def exit_indices(scores: np.ndarray, thresholds: Iterable[float]) -> np.ndarray:
    """Returns the exit that each sample takes, shape `(samples,)`."""
    return np.asarray((scores >= np.array(tuple(thresholds))).argmax(axis=1))


def evaluate_thresholds(
    scores: np.ndarray,
    correct: np.ndarray,
    costs: np.ndarray,
    thresholds: tuple[float, ...],
) -> OperatingPoint:
    """Measures exit fractions, accuracy and cost of thresholds.

    `correct` says whether each exit is correct, in the shape of `scores`;
    `costs` is the cost of a sample by exit.
    """
    indices = exit_indices(scores, thresholds)
    is_correct = np.take_along_axis(correct, indices[:, None], axis=1)[:, 0]
    shares = np.bincount(indices, minlength=len(costs)) / len(scores)
    return OperatingPoint(
        thresholds,
        tuple(float(share) for share in shares),
        float(is_correct.mean()),
        float(shares @ np.asarray(costs, "float64")),
        int((correct[:, -1] & ~is_correct).sum()),
    )


def sweep_thresholds(
    scores: np.ndarray, correct: np.ndarray, costs: np.ndarray
) -> tuple[OperatingPoint, ...]:
    """Measures never exit, always exit, and two families of thresholds.

    The first family has exit fractions proportional to q^k, for q in 1/20 to
    39/20; the second has one threshold for all early exits. Returns the
    distinct points, cheapest first. NaN scores are refused.
    """
    if np.isnan(scores).any():
        raise ValueError(
            "Argument `x` must give finite predictions. Received: NaN for "
            f"{int(np.isnan(scores).any(axis=1).sum())} of {len(scores)} "
            "samples. Look for NaN in the data and in the weights"
        )
    exits = scores.shape[1]
    choices = {
        (math.inf,) * (exits - 1) + (-math.inf,),
        (-math.inf,) * exits,
    }
    for q in SWEEP:
        shares = q ** np.arange(exits, dtype="float64")
        choices.add(thresholds_for_fractions(scores, shares / shares.sum()))
    early = scores[:, :-1]
    for level in np.quantile(early, np.linspace(0.0, 1.0, LEVELS)):
        choices.add((float(level),) * (exits - 1) + (-math.inf,))
    points = [evaluate_thresholds(scores, correct, costs, c) for c in choices]
    return tuple(sorted(points, key=lambda p: (p.cost, -p.accuracy, p.lost)))


def accuracy_cost_front(
    points: Iterable[OperatingPoint],
) -> tuple[OperatingPoint, ...]:
    """Returns the points that are more accurate than every cheaper one.

    They are the Pareto front of accuracy against cost, cheapest first.
    """
    best, front = -math.inf, []
    for point in sorted(points, key=lambda p: (p.cost, -p.accuracy)):
        if point.accuracy > best:
            front.append(point)
            best = point.accuracy
    return tuple(front)


def cheapest_within_drop(
    points: Iterable[OperatingPoint],
    full_accuracy: float,
    max_drop: float,
    *,
    samples: int,
    confidence_level: float | None = None,
) -> OperatingPoint:
    """Chooses the cheapest point within an accuracy drop, a share.

    With `confidence_level`, in (0, 1), a point qualifies if the upper bound on
    its share of lost samples is within the drop. Points are tested from the
    most expensive on and the first failure ends the search (fixed-sequence
    testing), so no correction for multiple tests is needed ("learn then test"
    in Schuster et al., *Confident Adaptive Language Modeling*, 2022). The
    point that never exits loses nothing and always qualifies. Without it the
    measured accuracy is compared with `full_accuracy`, that of the final exit.
    """
    ordered = sorted(points, key=lambda p: (-p.cost, -p.accuracy))
    never = next(p for p in ordered if set(p.thresholds[:-1]) <= {math.inf})
    if confidence_level is None:
        within = [
            p for p in ordered if p.accuracy >= full_accuracy - max_drop - 1e-12
        ]
        return min(within, key=lambda p: (p.cost, -p.accuracy), default=never)
    chosen = never
    for point in ordered:
        if point is never or point.cost > never.cost:
            continue
        bound = clopper_pearson_bound(point.lost, samples, confidence_level)
        if bound > max_drop:
            break
        chosen = point
    return chosen


def most_accurate_within(
    points: Iterable[OperatingPoint], budget: float
) -> OperatingPoint | None:
    """Chooses the most accurate point within a budget for the mean cost.

    Returns `None` if the cheapest point exceeds the budget.
    """
    within = [p for p in points if p.cost <= budget * (1 + 1e-12)]
    return max(within, key=lambda p: (p.accuracy, -p.cost), default=None)


def clopper_pearson_bound(
    events: int, samples: int, confidence_level: float
) -> float:
    """Returns the one-sided Clopper-Pearson upper bound of a proportion.

    The bound holds with probability `confidence_level`, in (0, 1).
    """
    if events >= samples:
        return 1.0
    low, high = events / samples, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _binomial_cdf(events, samples, middle) > 1.0 - confidence_level:
            low = middle
        else:
            high = middle
    return high


def _binomial_cdf(events: int, samples: int, p: float) -> float:
    """The probability of at most this many events."""
    if p >= 1.0:
        return 0.0
    k = np.arange(events + 1)
    steps = np.log((samples - k[:-1]) / (k[:-1] + 1.0))
    log_choose = np.concatenate([[0.0], np.cumsum(steps)])
    logs = log_choose + k * math.log(max(p, 1e-300))
    logs = logs + (samples - k) * math.log1p(-p)
    return float(np.exp(logs).sum())
