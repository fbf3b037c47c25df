"""Limits on the cost of a model, checked before it is trained."""

import math
import numbers
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt import cost
from keras_netopt.checks import check_positive
from keras_netopt.cost.packed_weights import count_params
from keras_netopt.serialization import export_class


@dataclass(frozen=True)
class Constraint:
    """An upper limit on a cost of a built model.

    Subclasses set `name`, the metric in which the cost is stored, and
    override `measure`. One that takes seconds sets `is_slow`: it is measured
    for the models that keep all other limits.

    Args:
        at_most: The largest allowed value, above 0; infinity measures the
            cost without a limit, for `NSGA2` and reports.

    Raises:
        TypeError: If `at_most` is not a number.
        ValueError: If `at_most` is not above 0.
    """

    at_most: float

    name = "cost"
    is_slow = False

    def __post_init__(self) -> None:
        if not is_infinite(self.at_most):
            check_positive(self.at_most, "at_most")

    def measure(self, model: keras.Model) -> float:
        """Returns the cost of a built model."""
        raise NotImplementedError

    def keep_costs(self, path: str) -> None:
        """Stores measured costs in a file, if measuring takes long."""

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Constraint":
        """Builds the limit from its config."""
        return cls(**config)


def is_infinite(value: Any) -> bool:
    """Whether a value is the number that stands for no limit."""
    return isinstance(value, numbers.Real) and value == math.inf


@export_class
@dataclass(frozen=True)
class MaxParams(Constraint):
    """Limits the number of parameters.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> MaxParams(1000).measure(model)
    8.0

    Args:
        at_most: Number of parameters, non-trainable ones included, as in
            `cost.summarize`.
    """

    name = "params"

    def measure(self, model: keras.Model) -> float:
        """Returns the number of parameters."""
        return float(count_params(model))


@export_class
@dataclass(frozen=True)
class MaxMACs(Constraint):
    """Limits the multiply-accumulate operations (MACs) of one sample.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> MaxMACs(2e6).measure(model)
    6.0

    Args:
        at_most: MACs of one sample, as in `cost.summarize`.
    """

    name = "macs"

    def measure(self, model: keras.Model) -> float:
        """Returns the MACs of one sample."""
        return float(cost.summarize(model).macs)


@export_class
@dataclass(frozen=True)
class MaxBytes(Constraint):
    """Limits the size of the weights in bytes.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> MaxBytes(100).measure(model)
    32.0

    Args:
        at_most: Bytes of all variables, as in `cost.summarize`.
    """

    name = "bytes"

    def measure(self, model: keras.Model) -> float:
        """Returns the size of the weights in bytes."""
        return float(cost.summarize(model).bytes)


# Costs that follow from a built model alone.
COSTS: dict[str, type[Constraint]] = {
    one.name: one for one in (MaxParams, MaxMACs, MaxBytes)
}


def add_measured_costs(
    constraints: tuple[Constraint, ...], oracle: Any
) -> tuple[Constraint, ...]:
    """Adds the costs that the oracle's objectives name, without a limit."""
    limited = {one.name for one in constraints}
    names = [n for n in getattr(oracle, "metric_names", ()) if n in COSTS]
    more = (COSTS[name](math.inf) for name in names if name not in limited)
    return (*constraints, *more)


def check_constraints(constraints: Any) -> tuple[Constraint, ...]:
    """Returns one constraint or several as a tuple."""
    if isinstance(constraints, Constraint):
        constraints = (constraints,)
    # An array without axes has `__iter__`, and cannot be iterated.
    is_many = isinstance(constraints, Iterable) and not (
        isinstance(constraints, np.ndarray)
    )
    found: list[Constraint] = []
    for one in constraints if is_many else (constraints,):
        if not isinstance(one, Constraint):
            raise TypeError(
                "Argument `constraints` must hold `search.MaxParams`, "
                "`MaxMACs`, `MaxBytes`, `MaxLatency` or another "
                f"`Constraint`. Received: constraints={constraints!r}"
            )
        found.append(one)
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise ValueError(
            "Argument `constraints` must limit each cost once. "
            f"Received: constraints of {names}"
        )
    return tuple(found)
