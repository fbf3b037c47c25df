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

from keras_netopt.points import RunLength
from keras_netopt.schedules import Schedule
from keras_netopt.selectors import Selector, nearest_paths, select
from keras_netopt.training import own_variables, sync_variables, walk_layers
from keras_netopt.training.backend import commit_variables
from keras_netopt.training.layers import walk_paths

SCALES = ("linear",)
NO_LIMITS = (-np.inf, np.inf)


@dataclass(frozen=True)
class ScheduledVariables:
    """The variables of one attribute in several layers.

    Args:
        names: Names of the layers.
        variables: One variable per layer.
        factors: Factor of the value, one per layer.
        limits: Lowest and highest value.
    """

    names: tuple[str, ...]
    variables: tuple[Any, ...]
    factors: tuple[float, ...]
    limits: tuple[float, float]

    def assign(self, model: keras.Model, value: float) -> None:
        """Assigns a value times its factor to every variable.

        Args:
            model: The model that holds the layers; may be inside `fit`.
            value: The value for a factor of 1.
        """
        sync_variables(model)
        for variable, factor in zip(self.variables, self.factors, strict=True):
            shape = tuple(variable.shape)
            variable.assign(np.full(shape, value * factor, "float32"))
        commit_variables(model)


def find_scheduled_variables(
    model: keras.Model,
    attr: str,
    include: Selector | None = None,
    scale: str | None = None,
) -> ScheduledVariables:
    """Finds the variables that one schedule sets.

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
        attr: The attribute of the layers that holds the variable.
        include: Selector of layers among those with that attribute. Defaults
            to `None`: the layers of this package with that variable.
        scale: "linear" gives layer l of L the share l / L. Defaults to
            `None`: 1 each.

    Returns:
        The variables in the order of the layers in the model; none where
        `include` is `None` and no layer has one.

    Raises:
        ValueError: If `include` matches nothing, or `attr` is a variable of
            no layer.
    """
    layers = [(p, la) for p, la in walk_paths(model) if _has(la, attr)]
    if include is None:
        chosen = [layer for _, layer in layers if _is_ours(layer, attr)]
    else:
        if not layers:
            _raise_no_variable(model, attr)
        places = select(include, layers, model, "include")
        chosen = [layers[place][1] for place in sorted(places)]
    variables = tuple(_variable(layer, attr) for layer in chosen)
    count = len(chosen)
    linear = scale == "linear"
    return ScheduledVariables(
        tuple(layer.name for layer in chosen),
        variables,
        tuple((k + 1) / count if linear else 1.0 for k in range(count)),
        _limits(chosen, attr),
    )


def check_values(
    schedule: Schedule, run: RunLength, found: ScheduledVariables
) -> None:
    """Refuses a schedule that leaves the range of its variables.

    Args:
        schedule: The value over the fit.
        run: Length of the fit.
        found: What it is for.

    Raises:
        ValueError: If a value lies outside, or the schedule does not fit the
            run.
    """
    low, high = found.limits
    for step in (0, *schedule.update_points(run)):
        value = schedule.at(step, run)
        if not low <= value <= high:
            raise ValueError(
                f"Argument `schedule` must stay in [{low:g}, {high:g}], the "
                f"range of the variable. Received: schedule={schedule!r}, "
                f"which is {value:g} at step {step}"
            )


def _is_ours(layer: Any, attr: str) -> bool:
    names = ("netopt_schedulable", "netopt_not_schedulable")
    return any(attr in getattr(layer, name, {}) for name in names)


def _has(layer: Any, attr: str) -> bool:
    is_variable = isinstance(getattr(layer, attr, None), keras.Variable)
    return is_variable or _is_ours(layer, attr)


def _variable(layer: Any, attr: str) -> Any:
    reason = getattr(layer, "netopt_not_schedulable", {}).get(attr)
    if reason is not None:
        raise ValueError(
            f"Argument `attr` must be a weight, and `{attr}` of "
            f"{type(layer).__name__} is none: {reason}. "
            f"Received: attr={attr!r}"
        )
    return getattr(layer, attr)


def _raise_no_variable(model: keras.Model, attr: str) -> None:
    names = {v.name for la in walk_layers(model) for v in own_variables(la)}
    raise ValueError(
        "Argument `attr` must name a weight of at least one layer. The "
        f"nearest names are {nearest_paths(attr, sorted(names))}. "
        f"Received: attr={attr!r}"
    )


def _limits(chosen: Iterable[Any], attr: str) -> tuple[float, float]:
    ranges = [
        getattr(one, "netopt_schedulable", {}).get(attr) for one in chosen
    ]
    known = [limits for limits in ranges if limits is not None]
    if not known:
        return NO_LIMITS
    return max(low for low, _ in known), min(high for _, high in known)
