"""The result of a comparison of arms: curves, differences, intervals."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_netopt import tables
from keras_netopt.paired_difference import (
    PairedDifference,
    format_spread,
    paired_difference,
)
from keras_netopt.report import Report

CONTROL = "random"


@dataclass(frozen=True, eq=False)
class ArmComparison(Report):
    """The result of `compare_arms`: a printable table, and curves.

    Example:

    >>> import numpy as np
    >>> arms = ArmComparison(
    ...     curves={
    ...         "shuffle": np.array([[0.5, 0.7], [0.5, 0.8]]),
    ...         "easy_first": np.array([[0.7, 0.8], [0.6, 0.9]]),
    ...     },
    ...     steps_per_epoch=10,
    ...     monitor="val_accuracy",
    ... )
    >>> arms.steps_to_target("easy_first")
    [20, 20]

    Args:
        curves: Monitored quantity by arm, arrays of shape `(seeds, epochs)`;
            the first arm is the baseline.
        steps_per_epoch: Training steps per epoch.
        monitor: Name of the monitored quantity.
        mode: "max" if larger is better, or "min". Defaults to `"max"`.
        target: Value of the monitored quantity for `steps_to_target`.
            Defaults to `None`: the mean of the baseline in the last epoch.
        title: Title of the table. Defaults to `None`: numbers of arms, seeds
            and steps.
    """

    curves: Mapping[str, np.ndarray]
    steps_per_epoch: int
    monitor: str
    mode: str = "max"
    target: float | None = None
    title: str | None = field(default=None)

    @property
    def baseline(self) -> str:
        """The first arm, with which the others are compared."""
        return next(iter(self.curves))

    @property
    def target_value(self) -> float:
        """The target, or the mean of the baseline in the last epoch."""
        if self.target is not None:
            return float(self.target)
        return float(self.last_values(self.baseline).mean())

    def last_values(self, arm: str) -> np.ndarray:
        """Returns the values of an arm in the last epoch, one per seed."""
        return np.asarray(self.curves[arm])[:, -1]

    def differences(self) -> Sequence[PairedDifference]:
        """Returns the paired differences to the baseline in the last epoch."""
        base = self.last_values(self.baseline)
        return [
            paired_difference(name, self.last_values(name), base)
            for name in self.curves
            if name != self.baseline
        ]

    def steps_to_target(self, arm: str) -> list[int | None]:
        """Returns the training steps to the target, one per seed.

        Steps are counted in whole epochs; `None` if the target is not
        reached.
        """
        sign = -1.0 if self.mode == "min" else 1.0
        found = sign * np.asarray(self.curves[arm]) >= sign * self.target_value
        return [
            (int(row.argmax()) + 1) * self.steps_per_epoch
            if row.any()
            else None
            for row in found
        ]

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Plots curves and differences, see `plots.arm_comparison`."""
        from keras_netopt import plots

        return plots.arm_comparison(self, path=path)

    def __str__(self) -> str:
        gaps = {row.name: str(row) for row in self.differences()}
        rows = [
            [
                f"{name} (control)" if name == CONTROL else name,
                format_spread(self.last_values(name)),
                gaps.get(name, "baseline"),
                self._steps(name),
            ]
            for name in self.curves
        ]
        headers = [
            "arm",
            f"{self.monitor}, last epoch",
            f"minus {self.baseline} [95 %]",
            f"steps to {self.target_value:.4f}",
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
