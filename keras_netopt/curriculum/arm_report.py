"""What a comparison of arms found: table, intervals, picture."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_netopt import tables

# Student's t, two-sided 95 %, by degrees of freedom from 1 on.
T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
CONTROL = "random"


@dataclass(frozen=True)
class Difference:
    """How an arm differs from the baseline, seed by seed.

    Args:
        name: The arm.
        mean: Mean of the differences at the end.
        low: Lower end of the 95 % interval, `None` with one seed.
        high: Its upper end.
    """

    name: str
    mean: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:+.4f}"
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def paired_difference(name: str, mine: Any, base: Any) -> Difference:
    """Returns the mean of paired differences and its 95 % interval.

    Example:

    >>> print(paired_difference("easy", [0.8, 0.9, 0.9], [0.7, 0.8, 0.7]))
    +0.1333 [-0.0101, +0.2768]

    Args:
        name: The arm.
        mine: One value a seed.
        base: Those of the baseline, with the same seeds.
    """
    gaps = np.asarray(mine, "float64") - np.asarray(base, "float64")
    mean, count = float(gaps.mean()), len(gaps)
    if count < 2:
        return Difference(name, mean, None, None)
    factor = T95[count - 2] if count - 2 < len(T95) else 1.96
    half = factor * float(gaps.std(ddof=1)) / math.sqrt(count)
    return Difference(name, mean, mean - half, mean + half)


@dataclass(frozen=True, eq=False)
class ArmComparison:
    """What `compare_arms` returns: print it, or look at its `curves`.

    Example:

    >>> import numpy as np
    >>> arms = ArmComparison(
    ...     curves={
    ...         "shuffle": np.array([[0.5, 0.7], [0.5, 0.8]]),
    ...         "easy_first": np.array([[0.7, 0.8], [0.6, 0.9]]),
    ...     },
    ...     steps_per_epoch=10,
    ...     metric="val_accuracy",
    ... )
    >>> arms.steps_to_target("easy_first")
    [20, 20]

    Args:
        curves: By arm, the metric of each seed after each epoch, of shape
            `(seeds, epochs)`; the first arm is the baseline.
        steps_per_epoch: Training steps of an epoch.
        metric: Name of the metric.
        lower_is_better: Whether it is a loss. Defaults to `False`.
        goal: Value whose steps are counted. Defaults to `None`: what the
            baseline reaches at its end on average.
        title: A line above the table. Defaults to `None`.
    """

    curves: Mapping[str, np.ndarray]
    steps_per_epoch: int
    metric: str
    lower_is_better: bool = False
    goal: float | None = None
    title: str | None = field(default=None)

    @property
    def baseline(self) -> str:
        """The arm that the others are compared with, the first one."""
        return next(iter(self.curves))

    @property
    def target(self) -> float:
        """The value whose steps are counted."""
        if self.goal is not None:
            return float(self.goal)
        return float(self.final(self.baseline).mean())

    def final(self, arm: str) -> np.ndarray:
        """Returns what an arm reached at its end, one value a seed."""
        return np.asarray(self.curves[arm])[:, -1]

    def differences(self) -> Sequence[Difference]:
        """Returns how each other arm differs from the baseline at the end."""
        base = self.final(self.baseline)
        return [
            paired_difference(name, self.final(name), base)
            for name in self.curves
            if name != self.baseline
        ]

    def steps_to_target(self, arm: str) -> list[int | None]:
        """Returns the steps to the target by seed, at the end of an epoch.

        `None` stands where an arm has not reached it.
        """
        sign = -1.0 if self.lower_is_better else 1.0
        found = sign * np.asarray(self.curves[arm]) >= sign * self.target
        return [
            (int(row.argmax()) + 1) * self.steps_per_epoch
            if row.any()
            else None
            for row in found
        ]

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draws curves and differences, see `plots.arm_comparison`."""
        from keras_netopt import plots

        return plots.arm_comparison(self, path=path)

    def __str__(self) -> str:
        gaps = {row.name: str(row) for row in self.differences()}
        rows = [
            [
                f"{name} (control)" if name == CONTROL else name,
                _spread(self.final(name)),
                gaps.get(name, "baseline"),
                self._steps(name),
            ]
            for name in self.curves
        ]
        headers = [
            "arm",
            f"{self.metric}, last epoch",
            f"minus {self.baseline} [95 %]",
            f"steps to {self.target:.4f}",
        ]
        epochs = len(next(iter(self.curves.values()))[0])
        seeds = len(next(iter(self.curves.values())))
        title = self.title or (
            f"{len(self.curves)} arms, {seeds} paired seeds, "
            f"{epochs * self.steps_per_epoch:,} steps each"
        )
        return tables.render(headers, rows, title=title, align="lrrr")

    def _steps(self, name: str) -> str:
        steps = self.steps_to_target(name)
        reached = [s for s in steps if s is not None]
        if not reached:
            return "not reached"
        text = f"{np.median(reached):,.0f}"
        if len(reached) < len(steps):
            text += f" ({len(reached)} of {len(steps)})"
        return text


def _spread(values: np.ndarray) -> str:
    if len(values) < 2:
        return f"{values[0]:.4f}"
    return f"{values.mean():.4f} ± {values.std(ddof=1):.4f}"
