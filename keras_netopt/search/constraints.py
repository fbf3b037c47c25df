"""Limits on the cost of a model, checked before it is trained."""

import math
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import keras

from keras_netopt import cost
from keras_netopt.checks import check_positive
from keras_netopt.serialization import export_class


@dataclass(frozen=True)
class Constraint:
    """An upper limit on a cost of a built model.

    Subclasses set `name`, the metric in which the cost is stored, and
    override `measure`.

    Args:
        at_most: The largest allowed value, above 0; infinity measures the
            cost without a limit, for `NSGA2` and reports.

    Raises:
        TypeError: If `at_most` is not a number.
        ValueError: If `at_most` is not above 0.
    """

    at_most: float

    name = "cost"

    def __post_init__(self) -> None:
        if self.at_most != math.inf:
            check_positive(self.at_most, "at_most")

    def measure(self, model: keras.Model) -> float:
        """Returns the cost of a built model."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Constraint":
        """Builds the limit from its config."""
        return cls(**config)


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
        at_most: Number of parameters, non-trainable ones included.
    """

    name = "params"

    def measure(self, model: keras.Model) -> float:
        """Returns the number of parameters."""
        return float(model.count_params())


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


@export_class
@dataclass(frozen=True)
class MaxLatency(Constraint):
    """Limits the measured latency of the model's LiteRT file.

    Each candidate is converted and run, which takes seconds, about five more
    on the JAX and torch backends. The latency is that of one thread of this
    machine; other load on the machine distorts it.

    Example:

    >>> MaxLatency(5.0).at_most
    5.0

    Args:
        at_most: Median milliseconds of a batch of one sample.
        quantize: As in `export.to_litert`. Defaults to `None`.
    """

    quantize: str | None = None

    name = "latency_ms"

    def measure(self, model: keras.Model) -> float:
        """Returns the median latency in milliseconds."""
        from keras_netopt import export

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.tflite")
            report = export.to_litert(model, path, quantize=self.quantize)
        if report.latency is None:
            raise ValueError(
                "The LiteRT file cannot be run, so its latency is unknown. "
                "Remove `MaxLatency`, or the layers with operations outside "
                "LiteRT."
            )
        return float(report.latency.median)


class ConstraintChecker:
    """Checks candidates and keeps the one nearest to the limits.

    `build` returns the model of a dictionary of values.
    """

    def __init__(self, constraints: Iterable[Constraint], build: Any) -> None:
        self.constraints = tuple(constraints)
        self.nearest: tuple[float, dict[str, Any], str] | None = None
        self._build = build

    def __call__(self, values: dict[str, Any]) -> dict[str, float] | str:
        """Returns the costs of a candidate, or why it is rejected."""
        model = self._build(values)
        if not model.built:
            raise ValueError(
                "Argument `constraints` must be omitted unless `build` returns "
                "built models: begin them with `keras.Input`, or call "
                f"`model.build(shape)`. Received: {model.name!r}, not built"
            )
        costs, excess, reasons = {}, 0.0, []
        for one in self.constraints:
            value = costs[one.name] = one.measure(model)
            if not value <= one.at_most:
                reasons.append(f"{one.name} above {one.at_most:g}")
                excess = max(excess, value / one.at_most)
        if not reasons:
            return costs
        if self.nearest is None or excess < self.nearest[0]:
            shown = ", ".join(f"{k}={v:g}" for k, v in costs.items())
            self.nearest = (excess, dict(values), shown)
        return " and ".join(reasons)

    def explain(self, rejected: dict[str, int]) -> str:
        """Describes the rejected candidates and the nearest one."""
        counts = ", ".join(f"{n} with {why}" for why, n in rejected.items())
        if self.nearest is None:
            return f"rejected: {counts}"
        _, values, shown = self.nearest
        return f"rejected: {counts}; nearest: {values} ({shown})"


def check_constraints(constraints: Any) -> tuple[Constraint, ...]:
    """Returns one constraint or several as a tuple."""
    if isinstance(constraints, Constraint):
        constraints = (constraints,)
    found = tuple(constraints)
    for one in found:
        if not isinstance(one, Constraint):
            raise TypeError(
                "Argument `constraints` must hold `search.MaxParams`, "
                "`MaxMACs`, `MaxBytes`, `MaxLatency` or another "
                f"`Constraint`. Received: {one!r}"
            )
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise ValueError(
            "Argument `constraints` must limit each cost once. "
            f"Received: {names}"
        )
    return found
