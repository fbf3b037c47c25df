"""The ranking of configurations that were trained again with new seeds."""

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keras_netopt.report import Report
from keras_netopt.tables import render

LEVEL = 0.95


@dataclass(frozen=True)
class ConfirmedScore(Report):
    """The scores of one configuration with new seeds.

    `low` and `high` bound the mean by Student's t interval; without two
    finite scores they are infinite. Configurations of the same `group`,
    counted from 1, cannot be told apart from the first one in it.
    """

    name: str
    scores: tuple[float, ...]
    mean: float
    low: float
    high: float
    group: int

    def describe(self) -> str:
        """Returns the mean, and its interval if it has one."""
        mean = f"{self.mean:.4g}"
        if not math.isfinite(self.low):
            return mean
        return f"{mean} [{self.low:.4g}, {self.high:.4g}]"

    def __str__(self) -> str:
        return f"trial {self.name}: {self.describe()}, group {self.group}"


@dataclass(frozen=True)
class Confirmation(Report):
    """Configurations ranked by the mean of new seeds, best first.

    Example:

    >>> found = rank_confirmed({"3": [0.5, 0.7], "8": [0.2, 0.3]})
    >>> [row.name for row in found.rows], found.cannot_be_told_apart
    (['8', '3'], ['8', '3'])

    Args:
        rows: The configurations.
    """

    rows: tuple[ConfirmedScore, ...]

    @property
    def cannot_be_told_apart(self) -> list[str]:
        """The best configurations, among which the scores do not decide."""
        return [row.name for row in self.rows if row.group == 1]

    @property
    def remark(self) -> str:
        """How confirmed trials are ranked, and what was not decided."""
        text = "Trials with new seeds rank first, by their mean."
        tied = self.cannot_be_told_apart
        if len(tied) < 2:
            return text
        return f"{text} Cannot be told apart: trials {', '.join(tied)}."

    def find(self, name: str) -> ConfirmedScore | None:
        """Returns the scores of a configuration, or `None`."""
        return next((row for row in self.rows if row.name == name), None)

    def __str__(self) -> str:
        head = ["trial", "mean", "95 % interval", "seeds", "group"]
        cells = [
            [
                row.name,
                f"{row.mean:.4g}",
                f"{row.low:.4g} to {row.high:.4g}"
                if math.isfinite(row.low)
                else "-",
                str(len(row.scores)),
                str(row.group),
            ]
            for row in self.rows
        ]
        table = render(head, cells, title="Trained again with new seeds")
        tied = self.cannot_be_told_apart
        if len(tied) < 2:
            return table
        return f"{table}\nCannot be told apart: trials {', '.join(tied)}."


def rank_confirmed(
    scores: Mapping[str, Sequence[float]], direction: str = "min"
) -> Confirmation:
    """Ranks configurations by their mean over new seeds.

    The score that has chosen a configuration is not among them: it is
    optimistic. A configuration joins the group of the one before it unless
    Welch's interval of the difference from the first one of the group
    excludes 0, at the level of 95 % for each comparison. With a score that
    is not finite it is ranked last.

    Example:

    >>> print(rank_confirmed({"3": [1.0, 1.1], "8": [0.2, 0.3]}).rows[0])
    trial 8: 0.25 [-0.3853, 0.8853], group 1

    Args:
        scores: The scores of each configuration, by its name.
        direction: "min" or "max". Defaults to `"min"`.

    Returns:
        The ranking.

    Raises:
        ValueError: If a configuration has no score.
    """
    sign = -1.0 if direction == "max" else 1.0
    for name, values in scores.items():
        if not values:
            raise ValueError(
                "Argument `scores` must hold a score of each configuration. "
                f"Received: none of {name!r}"
            )
    worst = sign * math.inf
    means = {
        name: statistics.fmean(values) if _are_finite(values) else worst
        for name, values in scores.items()
    }
    rows: list[ConfirmedScore] = []
    leader, group = "", 0
    for name in sorted(means, key=lambda one: sign * means[one]):
        if not rows or _differ(scores[leader], scores[name]):
            leader, group = name, group + 1
        spread = _half_width(scores[name])
        bounds = means[name] - spread, means[name] + spread
        if not math.isfinite(means[name]):
            bounds = -math.inf, math.inf
        rows.append(
            ConfirmedScore(
                name, tuple(scores[name]), means[name], *bounds, group
            )
        )
    return Confirmation(tuple(rows))


def confirmed_pattern(objective: str) -> re.Pattern[str]:
    """Returns the pattern of the metrics of new seeds."""
    return re.compile(rf"confirm\d+/{re.escape(objective)}")


def t_quantile(freedom: int, level: float = LEVEL) -> float:
    """Returns t such that a Student t variable is in [-t, t] by `level`.

    Args:
        freedom: Degrees of freedom, at least 1.
        level: Above 0 and below 1. Defaults to 0.95.
    """
    low, high = 0.0, math.pi / 2
    while (middle := (low + high) / 2) not in (low, high):
        if _central_probability(middle, freedom) < level:
            low = middle
        else:
            high = middle
    return math.tan(middle) * math.sqrt(freedom)


def _central_probability(angle: float, freedom: int) -> float:
    """P(|T| <= tan(angle) * sqrt(freedom)), a finite sum."""
    sine, cosine = math.sin(angle), math.cos(angle)
    term = cosine if freedom % 2 else 1.0
    total, first = 0.0, 2 if freedom % 2 else 1
    for k in range(first, freedom, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    if freedom % 2:
        return 2 / math.pi * (angle + sine * total)
    return sine * total


def _half_width(values: Sequence[float]) -> float:
    if len(values) < 2 or not _are_finite(values):
        return math.inf
    error = statistics.stdev(values) / math.sqrt(len(values))
    return t_quantile(len(values) - 1) * error


def _differ(first: Sequence[float], other: Sequence[float]) -> bool:
    """Whether the means of two configurations differ, by Welch's interval."""
    if _are_finite(first) and not _are_finite(other):
        return True
    if not _are_finite(first) or min(len(first), len(other)) < 2:
        return False
    parts = [statistics.variance(one) / len(one) for one in (first, other)]
    difference = abs(statistics.fmean(first) - statistics.fmean(other))
    if not sum(parts):
        return difference > 0
    lost = sum(
        part**2 / (len(one) - 1)
        for part, one in zip(parts, (first, other), strict=True)
    )
    # A sum that is whole but for rounding keeps its degree of freedom.
    freedom = max(1, math.floor(sum(parts) ** 2 / lost + 1e-9))
    return difference > t_quantile(freedom) * math.sqrt(sum(parts))


def _are_finite(values: Sequence[float]) -> bool:
    return all(map(math.isfinite, values))
