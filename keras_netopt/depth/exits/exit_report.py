"""Tables of exits."""

from dataclasses import dataclass

import numpy as np

from keras_netopt.depth.exits.exit_costs import ExitCosts
from keras_netopt.depth.exits.exit_state import ExitState, natural
from keras_netopt.tables import render


@dataclass(frozen=True)
class ExitEvaluation:
    """What calibrated exits give on some data.

    Example:

    >>> found = ExitEvaluation(0.9, {"exit1": 0.5, "final": 0.5}, 30.0, 45.0,
    ...                        "MACs", {"exit1": 1.0, "final": 0.8})
    >>> found.saving
    1.5

    Args:
        accuracy: The share of samples that are right.
        fractions: The share that left at each exit, by name.
        cost: The mean cost of a sample.
        full_cost: The cost in the model without exits.
        unit: "MACs" or "ms".
        accuracy_by_exit: The accuracy of those that left there; `None`
            where nobody did.
    """

    accuracy: float
    fractions: dict[str, float]
    cost: float
    full_cost: float
    unit: str
    accuracy_by_exit: dict[str, float | None]

    @property
    def saving(self) -> float:
        """How many times cheaper a sample is than without exits."""
        return self.full_cost / self.cost

    @classmethod
    def of(
        cls,
        names: tuple[str, ...],
        exits: np.ndarray,
        right: np.ndarray,
        costs: ExitCosts,
    ) -> "ExitEvaluation":
        """Adds up samples.

        Args:
            names: The exits.
            exits: The exit of each sample.
            right: Whether its answer is right.
            costs: What each exit costs.

        Returns:
            The evaluation.
        """
        shares = np.bincount(exits, minlength=len(names)) / len(exits)
        found = {
            name: float(right[exits == k].mean()) if shares[k] else None
            for k, name in enumerate(names)
        }
        return cls(
            float(right.mean()),
            {n: float(s) for n, s in zip(names, shares, strict=True)},
            float(shares @ np.array(costs.by_exit)),
            costs.full,
            costs.unit,
            found,
        )

    def __str__(self) -> str:
        rows = [
            [name, _percent(share), _percent(self.accuracy_by_exit[name])]
            for name, share in self.fractions.items()
        ]
        rows.append(["all", "100.0 %", _percent(self.accuracy)])
        title = (
            f"{_amount(self.cost, self.unit)} {self.unit} a sample, "
            f"{self.saving:.2f} times cheaper than "
            f"{_amount(self.full_cost, self.unit)}"
        )
        headers = ["exit", "leave here", "of them right"]
        return render(headers, rows, title=title, align="lrr")


def render_exits(names: tuple[str, ...], state: ExitState) -> str:
    """Renders what a calibration decided.

    Args:
        names: The exits.
        state: The decision.

    Returns:
        The table and its notes.
    """
    rule, point, costs = state.rule, state.point, state.costs
    rows = []
    for k, name in enumerate(names):
        last = k == len(names) - 1
        threshold = natural(rule.thresholds[k], rule.criterion)
        rows.append(
            [
                name,
                "-" if last else _threshold(threshold, rule.criterion),
                _percent(point.fractions[k]),
                _percent(state.accuracies[k]),
                _amount(costs.by_exit[k], costs.unit),
            ]
        )
    rows.append(
        [
            "expected",
            "",
            "100.0 %",
            _percent(point.accuracy),
            _amount(point.cost, costs.unit),
        ]
    )
    rows.append(
        [
            "without exits",
            "",
            "",
            _percent(state.accuracies[-1]),
            _amount(costs.full, costs.unit),
        ]
    )
    headers = ["exit", rule.criterion, "leave here", "accuracy", costs.unit]
    title = f"Exits, calibrated on {state.samples:,} samples"
    table = render(headers, rows, title=title, align="lrrrr")
    said = list(state.notes)
    if point.cost >= costs.full:
        said.append(
            "leaving early does not pay here: the heads cost more than it saves"
        )
    if state.goal.confidence is not None:
        said.append(
            f"the loss is at most {100 * state.goal.budget:g} points with "
            f"probability {state.goal.confidence:g}"
        )
    return "\n".join([table, *(f"Note: {line}" for line in said)])


def _threshold(value: float | None, criterion: str) -> str:
    if value is None:
        return "nobody"
    if value in (0.0, 1e30):
        return "everybody"
    return f"{'<=' if criterion == 'entropy' else '>='} {value:.4f}"


def _amount(cost: float, unit: str) -> str:
    return f"{cost:,.0f}" if unit == "MACs" else f"{cost:.3f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
