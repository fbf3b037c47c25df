"""Checks candidates of a search and keeps the one nearest to the limits."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras

from keras_netopt.search.constraints import Constraint, check_constraints
from keras_netopt.search.cost_check import CostCheck, check_model

COSTS = "measured_costs.json"


class ConstraintChecker:
    """Checks candidates and keeps the one nearest to the limits.

    Needs no KerasTuner: a candidate is any dict from which `build` makes a
    model, hyperparameters or the options of a supernet.

    Example:

    >>> import keras
    >>> from keras_netopt.search import MaxParams
    >>> def build(values):
    ...     return keras.Sequential(
    ...         [keras.Input((3,)), keras.layers.Dense(values["units"])]
    ...     )
    >>> checker = ConstraintChecker(MaxParams(8), build)
    >>> checker({"units": 2})
    {'params': 8.0}
    >>> checker({"units": 3})
    'params above 8'
    >>> checker.explain()
    "rejected: 1 with params above 8; nearest: {'units': 3} (params=12 of 8)"

    Args:
        constraints: One limit or several.
        build: Returns the built model of a dict of values.
    """

    def __init__(
        self,
        constraints: Any,
        build: Callable[[dict[str, Any]], keras.Model],
    ) -> None:
        self.constraints: tuple[Constraint, ...] = check_constraints(
            constraints
        )
        self.rejected: dict[str, int] = {}
        self._build = build
        self._nearest: tuple[dict[str, Any], CostCheck] | None = None

    def __call__(self, values: dict[str, Any]) -> dict[str, float] | str:
        """Returns the costs of a candidate, or why it is rejected."""
        return self.check(self._build(values), values)

    def check(
        self, model: keras.Model, values: dict[str, Any]
    ) -> dict[str, float] | str:
        """Returns the costs of a candidate's model, or why it is rejected."""
        if not model.built:
            if all(one.at_most == math.inf for one in self.constraints):
                return {}  # Objectives, which the training may report.
            raise ValueError(
                "Argument `constraints` must be omitted unless `build` returns "
                "built models: begin them with `keras.Input`, or call "
                f"`model.build(shape)`. Received: {model.name!r}, not built"
            )
        check = check_model(model, self.constraints)
        if check.is_feasible:
            return dict(check.costs)
        self.rejected[check.reason] = self.rejected.get(check.reason, 0) + 1
        known = self._nearest
        if known is None or check.distance < known[1].distance:
            self._nearest = dict(values), check
        return check.reason

    def explain(self) -> str:
        """Describes the rejected candidates and the nearest one."""
        counts = ", ".join(f"{n} with {r}" for r, n in self.rejected.items())
        if self._nearest is None:
            return f"rejected: {counts}"
        values, check = self._nearest
        shown = ", ".join(
            f"{name}={cost:g} of {check.limits[name]:g}"
            for name, cost in check.costs.items()
        )
        return f"rejected: {counts}; nearest: {values} ({shown})"

    def get_state(self) -> dict[str, Any]:
        """Returns the JSON-safe state."""
        state: dict[str, Any] = {"rejected": dict(self.rejected)}
        if self._nearest is not None:
            values, check = self._nearest
            state["nearest"] = [values, dict(check.costs)]
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores a state of `get_state`."""
        self.rejected = dict(state.get("rejected", {}))
        self._nearest = None
        if state.get("nearest"):
            values, costs = state["nearest"]
            limits = {one.name: one.at_most for one in self.constraints}
            if set(costs) <= set(limits):
                self._nearest = values, CostCheck(costs, limits)


def keep_costs(constraints: Iterable[Constraint], folder: Any) -> None:
    """Stores slowly measured costs in a folder, for a resumed search."""
    for one in constraints:
        one.keep_costs(f"{folder}/{COSTS}")


@contextlib.contextmanager
def keep_converter(constraints: Iterable[Constraint]) -> Iterator[None]:
    """Lets all exports of a search share one process of the converter."""
    if not any(one.is_slow for one in constraints):
        yield
        return
    from keras_netopt.export.kept_process import keep_process

    with keep_process():
        yield
