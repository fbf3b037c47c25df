"""What a model may cost at most, found out before it is trained."""

import math
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt import cost
from keras_netopt.checks import check_positive


@dataclass(frozen=True)
class Constraint:
    """Bounds a number that a built model has.

    Subclasses set `name`, the metric under which it is kept, and override
    `measure`.

    Args:
        at_most: The largest value allowed, above 0; infinity measures every
            candidate and refuses none, for `NSGA2` and reports.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is not above 0.
    """

    at_most: float

    name = "cost"

    def __post_init__(self) -> None:
        if self.at_most != math.inf:
            check_positive(self.at_most, "at_most")

    def measure(self, model: keras.Model) -> float:
        """Returns the number, given a built model."""
        raise NotImplementedError


@dataclass(frozen=True)
class MaxParams(Constraint):
    """Bounds the number of parameters of a model.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> MaxParams(1000).measure(model)
    8.0

    Args:
        at_most: Parameters, frozen ones included.
    """

    name = "params"

    def measure(self, model: keras.Model) -> float:
        """Returns the parameters."""
        return float(model.count_params())


@dataclass(frozen=True)
class MaxMACs(Constraint):
    """Bounds the multiply-accumulate operations of one sample.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> MaxMACs(2e6).measure(model)
    6.0

    Args:
        at_most: MACs of one sample, as `cost.summarize` counts them.
    """

    name = "macs"

    def measure(self, model: keras.Model) -> float:
        """Returns the MACs of one sample."""
        return float(cost.summarize(model).macs)


@dataclass(frozen=True)
class MaxBytes(Constraint):
    """Bounds the bytes of a model's weights.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> MaxBytes(100).measure(model)
    32.0

    Args:
        at_most: Bytes of all variables, as `cost.summarize` counts them.
    """

    name = "bytes"

    def measure(self, model: keras.Model) -> float:
        """Returns the bytes of the weights."""
        return float(cost.summarize(model).bytes)


@dataclass(frozen=True)
class MaxLatency(Constraint):
    """Bounds the measured time of a model's LiteRT file.

    Each candidate is converted and run, which takes seconds; the TensorFlow
    backend is needed. Times are of one thread of this machine, and of a busy
    machine they are no more than a hint.

    Example:

    >>> MaxLatency(5.0).at_most
    5.0

    Args:
        at_most: Milliseconds of a batch of one sample, the median.
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
                "The LiteRT file could not be run here, so its latency is "
                "not known. Remove `MaxLatency` or the layers that need "
                "operations outside LiteRT."
            )
        return float(report.latency.median)


class Bounds:
    """Judges candidates; remembers the one that came nearest.

    Args:
        constraints: What must hold.
        build: Returns the model for a dictionary of values.
    """

    def __init__(self, constraints: Iterable[Constraint], build: Any) -> None:
        self.constraints = tuple(constraints)
        self.nearest: tuple[float, dict[str, Any], str] | None = None
        self._build = build

    def __call__(self, values: dict[str, Any]) -> dict[str, float] | str:
        """Returns what a candidate costs, or why it is refused."""
        model = self._build(values)
        if not model.built:
            raise ValueError(
                "Argument `constraints` needs models that are built: begin "
                "them with `keras.Input`, or call `model.build(shape)`. "
                f"Received: {model.name!r}, which is not"
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
            told = ", ".join(f"{k}={v:g}" for k, v in costs.items())
            self.nearest = (excess, dict(values), told)
        return " and ".join(reasons)

    def explain(self, rejected: dict[str, int]) -> str:
        """Says how many candidates were refused, why, and what was nearest."""
        counts = ", ".join(f"{n} with {why}" for why, n in rejected.items())
        if self.nearest is None:
            return f"refused: {counts}"
        _, values, told = self.nearest
        return f"refused: {counts}; nearest: {values} ({told})"


def check_constraints(constraints: Any) -> tuple[Constraint, ...]:
    """Returns the constraints as a tuple.

    Example:

    >>> [one.name for one in check_constraints([MaxParams(10), MaxMACs(5)])]
    ['params', 'macs']

    Args:
        constraints: One constraint or several.

    Raises:
        TypeError: If one is something else.
        ValueError: If two bound the same, or LiteRT is needed and the
            backend is not TensorFlow.
    """
    if isinstance(constraints, Constraint):
        constraints = (constraints,)
    found = tuple(constraints)
    for one in found:
        if not isinstance(one, Constraint):
            raise TypeError(
                "Argument `constraints` must hold `search.MaxParams`, "
                "`MaxMACs`, `MaxBytes`, `MaxLatency` or your own "
                f"`Constraint`. Received: {one!r}"
            )
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise ValueError(
            "Argument `constraints` must bound each cost once. "
            f"Received: {names}"
        )
    backend = keras.backend.backend()
    if MaxLatency.name in names and backend != "tensorflow":
        raise ValueError(
            "`MaxLatency` converts to LiteRT, which needs the TensorFlow "
            f"backend. Received: backend={backend!r}. Use `MaxMACs`."
        )
    return found
