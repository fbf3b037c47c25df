"""Finds the weights of layers that `ParameterScheduler` sets.

A layer lists its scheduled variables in `netopt_schedulable`, a dictionary
from the attribute to its lowest and highest value, and attributes that cannot
be scheduled in `netopt_not_schedulable`, with the reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import own_variables, walk_layers, walk_paths
from keras_netopt.points import RunLength
from keras_netopt.schedules import Schedule
from keras_netopt.selectors import Selector, nearest_paths, select
from keras_netopt.training import sync_variables
from keras_netopt.training.backend import commit_variables

SCALES = ("linear",)
NO_LIMITS = (-np.inf, np.inf)


@dataclass(frozen=True)
class ScheduledVariables:
    """The variables of one attribute: one name, variable and factor per layer.

    `limits` are the lowest and the highest value.
    """

    names: tuple[str, ...]
    variables: tuple[Any, ...]
    factors: tuple[float, ...]
    limits: tuple[float, float]

    def assign(self, model: keras.Model, value: float) -> None:
        """Assigns a value times its factor to every variable."""
        sync_variables(model)
        for variable, factor in zip(self.variables, self.factors, strict=True):
            shape = tuple(variable.shape)
            variable.assign(np.full(shape, value * factor, "float32"))
        commit_variables(model)


def find_scheduled_variables(
    model: keras.Model,
    attribute: str,
    include: Selector | None = None,
    scale: str | None = None,
) -> ScheduledVariables:
    """Finds the variables that a schedule sets, in the order of the layers.

    Example:

    >>> import keras
    >>> model = keras.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(4), keras.layers.Dense(2)]
    ... )
    >>> found = find_scheduled_variables(
    ...     model, "bias", keras.layers.Dense, "linear"
    ... )
    >>> len(found.variables), found.factors
    (2, (0.5, 1.0))

    Args:
        model: A built model.
        attribute: Attribute of the layers that holds the variable.
        include: Selector of layers among those with that attribute. Defaults
            to `None`: the layers of this package with that variable, which
            may be none.
        scale: "linear" gives layer l of L the factor l / L. Defaults to
            `None`: a factor of 1.

    Raises:
        ValueError: If `include` matches nothing, or no layer has a variable
            `attribute`.
    """
    layers = [
        (path, layer)
        for path, layer in walk_paths(model)
        if _is_listed(layer, attribute)
        or isinstance(getattr(layer, attribute, None), keras.Variable)
    ]
    if include is None:
        chosen = [layer for _, layer in layers if _is_listed(layer, attribute)]
    else:
        if not layers:
            _raise_no_variable(model, attribute)
        indices = select(include, layers, model, "include")
        chosen = [layers[k][1] for k in sorted(indices)]
    variables = tuple(_variable(layer, attribute) for layer in chosen)
    count = len(chosen)
    linear = scale == "linear"
    return ScheduledVariables(
        tuple(layer.name for layer in chosen),
        variables,
        tuple((k + 1) / count if linear else 1.0 for k in range(count)),
        _limits(chosen, attribute),
    )


def check_values(
    schedule: Schedule, run: RunLength, found: ScheduledVariables
) -> None:
    """Refuses a schedule that leaves the range of its variables in this run."""
    low, high = found.limits
    first = {0: schedule.at(0, run)}
    for step, value in (first | schedule.planned_values(run)).items():
        if not low <= value <= high:
            raise ValueError(
                f"Argument `schedule` must stay in [{low:g}, {high:g}], the "
                f"range of the variable. Received: schedule={schedule!r}, "
                f"which is {value:g} at step {step}"
            )


def _is_listed(layer: Any, attribute: str) -> bool:
    names = ("netopt_schedulable", "netopt_not_schedulable")
    return any(attribute in getattr(layer, name, {}) for name in names)


def _variable(layer: Any, attribute: str) -> Any:
    reason = getattr(layer, "netopt_not_schedulable", {}).get(attribute)
    if reason is not None:
        raise ValueError(
            "Argument `attribute` must name a weight; "
            f"{type(layer).__name__}.{attribute} is not one: {reason}. "
            f"Received: attribute={attribute!r}"
        )
    return getattr(layer, attribute)


def _raise_no_variable(model: keras.Model, attribute: str) -> None:
    weights = [w for one in walk_layers(model) for w in own_variables(one)]
    names = nearest_paths(attribute, sorted({w.name for w in weights}))
    raise ValueError(
        "Argument `attribute` must name a weight of at least one layer. The "
        f"nearest names are {names}. Received: attribute={attribute!r}"
    )


def _limits(chosen: Iterable[Any], attribute: str) -> tuple[float, float]:
    ranges = [
        getattr(one, "netopt_schedulable", {}).get(attribute) for one in chosen
    ]
    known = [limits for limits in ranges if limits is not None]
    if not known:
        return NO_LIMITS
    return max(low for low, _ in known), min(high for _, high in known)
