"""Accuracy, exit fractions and cost of calibrated exits on labelled data."""

from dataclasses import dataclass

import numpy as np

from keras_netopt.depth.exits.exit_calibration import format_percent
from keras_netopt.depth.exits.exit_costs import ExitCosts, format_cost
from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class ExitEvaluation(Report):
    """Accuracy, exit fractions and cost of calibrated exits on some data.

    Example:

    >>> found = ExitEvaluation(0.9, {"exit1": 0.5, "final": 0.5}, 30.0, 45.0,
    ...                        "MACs", {"exit1": 1.0, "final": 0.8})
    >>> found.saving
    1.5

    Args:
        accuracy: Share of correct predictions.
        fractions: Share of samples that take each exit, by name.
        cost: Mean cost per sample.
        full_cost: Cost per sample of the model without exits.
        unit: "MACs" or "ms".
        accuracy_by_exit: Accuracy of the samples that take each exit; `None`
            if there are none.
    """

    accuracy: float
    fractions: dict[str, float]
    cost: float
    full_cost: float
    unit: str
    accuracy_by_exit: dict[str, float | None]

    @property
    def saving(self) -> float:
        """Cost without exits divided by the mean cost with exits."""
        return self.full_cost / self.cost

    @classmethod
    def from_samples(
        cls,
        names: tuple[str, ...],
        exits: np.ndarray,
        correct: np.ndarray,
        costs: ExitCosts,
    ) -> "ExitEvaluation":
        """Aggregates exit index and correctness, both of shape `(samples,)`."""
        shares = np.bincount(exits, minlength=len(names)) / len(exits)
        accuracy_by_exit = {
            name: float(correct[exits == k].mean()) if shares[k] else None
            for k, name in enumerate(names)
        }
        return cls(
            float(correct.mean()),
            {n: float(s) for n, s in zip(names, shares, strict=True)},
            float(shares @ np.array(costs.by_exit)),
            costs.full,
            costs.unit,
            accuracy_by_exit,
        )

    def __str__(self) -> str:
        rows = [
            [
                name,
                format_percent(share),
                format_percent(self.accuracy_by_exit[name]),
            ]
            for name, share in self.fractions.items()
        ]
        rows.append(["all", "100.0 %", format_percent(self.accuracy)])
        title = (
            f"{format_cost(self.cost, self.unit)} {self.unit} per sample, "
            f"{format_cost(self.full_cost, self.unit)} without exits "
            f"(ratio {self.saving:.2f})"
        )
        headers = ["exit", "exit fraction", "accuracy"]
        return render(headers, rows, title=title, align="lrr")
