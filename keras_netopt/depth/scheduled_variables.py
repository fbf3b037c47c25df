"""Finds the weights of layers that `ParameterScheduler` sets.

A layer lists its scheduled variables in `netopt_schedulable`, a dictionary
from the attribute to its lowest and highest value, and attributes that cannot
be scheduled in `netopt_not_schedulable`, with the reason.
"""

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.points import RunLength
from keras_netopt.schedules import Schedule
from keras_netopt.training import own_variables, sync, walk_layers
from keras_netopt.training.backend import commit

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
        sync(model)
        for variable, factor in zip(self.variables, self.factors, strict=True):
            shape = tuple(variable.shape)
            variable.assign(np.full(shape, value * factor, "float32"))
        commit(model)


def find_scheduled_variables(
    model: keras.Model, attr: str, layers: Any = None, scale: str | None = None
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
        layers: Which layers: a class, a regular expression that matches the
            whole name, a `callable(layer) -> bool`, or a list of those.
            Defaults to `None`: the layers of this package with that variable.
        scale: "linear" gives layer l of L the share l / L. Defaults to
            `None`: 1 each.

    Returns:
        The variables in the order of the layers in the model; none where
        `layers` is `None` and no layer has one.

    Raises:
        ValueError: If `layers` matches nothing, or `attr` is no variable of
            a layer that it matches.
    """
    found = list(walk_layers(model))
    if layers is None:
        chosen = [
            layer
            for layer in found
            if attr in getattr(layer, "netopt_schedulable", {})
            or attr in getattr(layer, "netopt_not_schedulable", {})
        ]
    else:
        chosen = [layer for layer in found if _matches(layer, layers)]
        if not chosen:
            _raise_no_match(found, layers)
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


def is_selector(layers: Any) -> bool:
    """Says whether `find_scheduled_variables` could read `layers`."""
    if isinstance(layers, list | tuple):
        return bool(layers) and all(map(is_selector, layers))
    if inspect.isclass(layers):
        return issubclass(layers, keras.layers.Layer)
    return isinstance(layers, str) or callable(layers)


def _matches(layer: keras.Layer, wanted: Any) -> bool:
    if isinstance(wanted, list | tuple):
        return any(_matches(layer, one) for one in wanted)
    if inspect.isclass(wanted):
        return isinstance(layer, wanted)
    if isinstance(wanted, str):
        return re.fullmatch(wanted, layer.name) is not None
    return bool(wanted(layer))


def _variable(layer: Any, attr: str) -> Any:
    reason = getattr(layer, "netopt_not_schedulable", {}).get(attr)
    if reason is not None:
        raise ValueError(
            f"Argument `attr` must be a weight, and `{attr}` of "
            f"{type(layer).__name__} is none: {reason}. "
            f"Received: attr={attr!r}"
        )
    value = getattr(layer, attr, None)
    if isinstance(value, keras.Variable):
        return value
    names = [variable.name for variable in own_variables(layer)]
    raise ValueError(
        "Argument `attr` must name a weight of every layer that `layers` "
        f"matches; {type(layer).__name__} {layer.name!r} has {names}. "
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


def _raise_no_match(found: Iterable[keras.Layer], layers: Any) -> None:
    names = ", ".join(f"{one.name} ({type(one).__name__})" for one in found)
    raise ValueError(
        "Argument `layers` must match at least one layer of the model, which "
        f"has {names}. Received: layers={layers!r}"
    )
