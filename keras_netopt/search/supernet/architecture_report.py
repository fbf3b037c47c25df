"""What a search has found, and what it is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt import tables
from keras_netopt.report import Report


@dataclass(frozen=True)
class ArchitectureReport(Report):
    """The result of `callbacks.ArchitectureSearch`.

    Example:

    >>> report = ArchitectureReport(
    ...     method="single_path", architecture={"edge": 1},
    ...     choices={"edge": "conv3"}, monitor="accuracy", value=0.81,
    ...     controls=(0.74, 0.78), evaluations=1000, space=4096,
    ...     refused={}, spearman_params=0.6, macs={"found": 300.0},
    ...     params={"found": 30.0}, costs={}, search_macs=1.6e6,
    ...     largest_training_macs=1e6, collapse=None)
    >>> for line in str(report).splitlines()[:4]:
    ...     print(line)
    single_path: 1,000 of 4,096 architectures, accuracy 0.8100
    random ones of equal MACs (2): accuracy 0.7600, sd 0.0283; found is \
better than 2
    The found architecture was chosen by this metric, the random ones were \
not: compare them on test data.
    rank correlation of accuracy with the number of parameters: 0.60 (Spearman)
    >>> report.relative_cost
    1.6

    Args:
        method: "darts" or "single_path".
        architecture: Index of the found option by decision.
        choices: The found option by decision.
        monitor: The metric of the ranking.
        value: The metric of the found architecture with inherited weights;
            NaN without validation data.
        controls: The metric of random architectures with the MACs of the
            found one, up to 5 %.
        evaluations: Number of architectures that were evaluated.
        space: Number of architectures that the options form.
        refused: Number of architectures above a limit, by limit.
        spearman_params: Rank correlation of the metric with the number of
            parameters over random architectures; NaN if it is unknown.
        macs: MACs of one sample of the supernet with all options, of the
            largest architecture and of the found one.
        params: Their parameters.
        costs: Costs of the found architecture that have a limit.
        search_macs: MACs of the search: training, where a backward pass
            counts as two forward passes, and evaluations.
        largest_training_macs: MACs of as many training steps of the largest
            architecture.
        collapse: What operations without weights have taken over, or `None`.
        sign: 1 if larger values of the metric are better, else -1. Defaults
            to `1`.
    """

    method: str
    architecture: Mapping[str, int]
    choices: Mapping[str, Any]
    monitor: str
    value: float
    controls: Sequence[float]
    evaluations: int
    space: int
    refused: Mapping[str, int]
    spearman_params: float
    macs: Mapping[str, float]
    params: Mapping[str, float]
    costs: Mapping[str, float]
    search_macs: float
    largest_training_macs: float
    collapse: str | None
    sign: int = 1

    @property
    def relative_cost(self) -> float:
        """Cost of the search in trainings of the largest architecture."""
        return self.search_macs / max(self.largest_training_macs, 1.0)

    def __str__(self) -> str:
        lines = [self._headline(), self._comparison()]
        if self.controls:
            lines.append(
                "The found architecture was chosen by this metric, the random "
                "ones were not: compare them on test data."
            )
        if not np.isnan(self.spearman_params):
            lines.append(
                f"rank correlation of {self.monitor} with the number of "
                f"parameters: {self.spearman_params:.2f} (Spearman)"
            )
        lines += [
            f"{count:,} architectures with {reason}"
            for reason, count in self.refused.items()
        ]
        lines += [f"{name} {value:g}" for name, value in self.costs.items()]
        lines.append(
            f"cost of the search: {self.search_macs:.2g} MACs, "
            f"{self.relative_cost:.2f} x a training of the largest network"
        )
        if self.collapse is not None:
            lines.append(f"operations without weights: {self.collapse}")
        choices = [[n, str(label)] for n, label in self.choices.items()]
        sizes = [
            [name, int(value), int(self.params[name])]
            for name, value in self.macs.items()
        ]
        lines.append(tables.render(["decision", "found"], choices))
        lines.append(tables.render(["network", "MACs", "parameters"], sizes))
        return "\n".join(lines)

    def _headline(self) -> str:
        count = f"{self.evaluations:,} of {self.space:,} architectures"
        if np.isnan(self.value):
            return f"{self.method}: {len(self.choices)} decisions"
        return f"{self.method}: {count}, {self.monitor} {self.value:.4f}"

    def _comparison(self) -> str:
        if not self.controls:
            return "no random architectures of equal MACs to compare with"
        values = np.array(self.controls)
        beaten = self.sign * (self.value - values) > 0
        sd = f", sd {values.std(ddof=1):.4f}" if len(values) > 1 else ""
        return (
            f"random ones of equal MACs ({len(values)}): {self.monitor} "
            f"{values.mean():.4f}{sd}; found is better than {beaten.sum()}"
        )
