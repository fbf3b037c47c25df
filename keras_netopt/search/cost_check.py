"""Compares the costs of one model with limits."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import keras

from keras_netopt.report import Report
from keras_netopt.search.constraints import Constraint, check_constraints
from keras_netopt.tables import render


@dataclass(frozen=True)
class CostCheck(Report):
    """The costs of a model beside their limits.

    Example:

    >>> check = CostCheck({"params": 8.0}, {"params": 4.0, "latency_ms": 1.0})
    >>> check.is_feasible, check.excess, check.reason
    (False, 2.0, 'params above 4')

    Args:
        costs: Measured costs by name.
        limits: The largest allowed costs by name. Those that are missing in
            `costs` were not measured, for another limit is broken.
    """

    costs: Mapping[str, float]
    limits: Mapping[str, float]

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the costs above their limits; NaN is above every limit."""
        return tuple(
            name
            for name, cost in self.costs.items()
            if not cost <= self.limits[name]
        )

    @property
    def is_feasible(self) -> bool:
        """Whether all limits are kept."""
        return not self.broken

    @property
    def reason(self) -> str:
        """The limits that are broken, as text."""
        return " and ".join(
            f"{name} above {self.limits[name]:g}" for name in self.broken
        )

    @property
    def excess(self) -> float:
        """Largest cost over its limit; infinity for NaN."""
        ratios = [c / self.limits[n] for n, c in self.costs.items()]
        return max((math.inf if r != r else r for r in ratios), default=0.0)

    @property
    def distance(self) -> tuple[int, float]:
        """Sort key: models nearest to all limits first."""
        return len(self.limits) - len(self.costs), self.excess

    def __str__(self) -> str:
        rows = [
            [
                name,
                f"{self.costs[name]:g}" if name in self.costs else "-",
                f"{limit:g}",
                "no" if name in self.broken else "yes",
            ]
            for name, limit in self.limits.items()
        ]
        return render(["cost", "measured", "at most", "kept"], rows)


def check_model(
    model: keras.Model, constraints: Constraint | Iterable[Constraint]
) -> CostCheck:
    """Measures the costs of a built model and compares them with limits.

    Latency, which takes seconds, is measured only if all other limits are
    kept.

    Example:

    >>> import keras
    >>> from keras_netopt.search import MaxMACs, MaxParams
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> check = check_model(model, [MaxParams(4), MaxMACs(100)])
    >>> check.is_feasible, check.costs
    (False, {'params': 8.0, 'macs': 6.0})

    Args:
        model: A built Keras model, as `search.extract` returns it.
        constraints: One limit or several, as in `[search.MaxMACs(2e6),
            search.MaxLatency(ratio=0.5, reference=base)]`.

    Returns:
        The costs beside their limits.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a cost is limited twice, or `model` is not built.
    """
    checked = check_constraints(constraints)
    if not isinstance(model, keras.Model):
        raise TypeError(
            "Argument `model` must be a built Keras model. "
            f"Received: model={model!r}"
        )
    if not model.built:
        raise ValueError(
            "Argument `model` must be built: begin it with `keras.Input`, or "
            f"call `model.build(shape)`. Received: {model.name!r}, not built"
        )
    limits = {one.name: one.at_most for one in checked}
    check = CostCheck({}, limits)
    for one in sorted(checked, key=lambda one: one.is_slow):
        if one.is_slow and not check.is_feasible:
            break
        costs = {**check.costs, one.name: one.measure(model)}
        check = CostCheck(costs, limits)
    return check
