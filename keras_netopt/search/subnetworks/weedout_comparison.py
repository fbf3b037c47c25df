"""The comparison of a found sub-network with random ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.paired_difference import (
    PairedDifference,
    format_spread,
    paired_difference,
)
from keras_netopt.report import Report
from keras_netopt.tables import render

PARENT, FOUND, RANDOM = "parent", "found", "random"
ARMS = (PARENT, FOUND, RANDOM)


@dataclass(frozen=True, eq=False)
class WeedoutComparison(Report):
    """Trained parent, found and random networks, paired by seed.

    Example:

    >>> import numpy as np
    >>> values = {"parent": [0.83, 0.84], "found": [0.81, 0.8],
    ...           "random": [0.8, 0.81]}
    >>> losses = {name: [2.3, 2.3] for name in values}
    >>> steps = {name: [40, None] for name in values}
    >>> comparison = WeedoutComparison(
    ...     "val_accuracy", values, losses, steps, 0.5, 200, 3.0, 1e9, 9.0)
    >>> print(comparison.difference())
    +0.0000 [-0.1271, +0.1271]

    Args:
        monitor: The compared metric.
        values: Its last values by arm, one per seed; those of several
            controls are averaged.
        initial_losses: Losses before training by arm, one per seed.
        steps: Training steps to `target_loss` by arm, in whole epochs, one
            per seed; `None` if it is not reached.
        target_loss: The training loss that `steps` refers to.
        evaluations: Evaluated configurations of all seeds.
        seconds: Seconds of the searches.
        search_macs: MACs of the searches, forward passes.
        training_seconds: Seconds of the training of all found networks.
    """

    monitor: str
    values: Mapping[str, Sequence[float]]
    initial_losses: Mapping[str, Sequence[float]]
    steps: Mapping[str, Sequence[int | None]]
    target_loss: float
    evaluations: int
    seconds: float
    search_macs: float
    training_seconds: float

    def difference(self, arm: str = FOUND) -> PairedDifference:
        """Returns an arm less random, paired by seed, with its interval."""
        return paired_difference(arm, self.values[arm], self.values[RANDOM])

    def drop(self) -> PairedDifference:
        """Returns the found network less its parent, paired by seed."""
        pairs = self.values[FOUND], self.values[PARENT]
        return paired_difference(FOUND, *pairs)

    def __str__(self) -> str:
        rows = [
            [
                f"{name} (control)" if name == RANDOM else name,
                format_spread(self.initial_losses[name]),
                format_spread(self.values[name]),
                "baseline" if name == RANDOM else str(self.difference(name)),
                self._steps(name),
            ]
            for name in ARMS
        ]
        headers = [
            "network",
            "loss before training",
            f"{self.monitor}, last epoch",
            "minus random [95 %]",
            f"steps to a loss of {self.target_loss:.4f}",
        ]
        seeds = len(self.values[FOUND])
        return "\n".join(
            [
                render(headers, rows, title=f"{seeds} paired seeds"),
                f"{self.evaluations:,} evaluations: {self.seconds:.1f} s, "
                f"{self.search_macs / 1e9:.3g} G MACs; training of the found "
                f"networks: {self.training_seconds:.1f} s. "
                f"{self._verdict()}",
            ]
        )

    def _verdict(self) -> str:
        gap = self.difference()
        if gap.low is None or gap.high is None:
            return "One seed has no interval: pass more."
        if gap.low <= 0 <= gap.high:
            return "The interval of found minus random contains 0."
        return "The interval of found minus random excludes 0."

    def _steps(self, name: str) -> str:
        reached: list[Any] = [s for s in self.steps[name] if s is not None]
        if not reached:
            return "not reached"
        text = f"{np.median(reached):,.0f}"
        if len(reached) < len(self.steps[name]):
            text += f" ({len(reached)} of {len(self.steps[name])})"
        return text
