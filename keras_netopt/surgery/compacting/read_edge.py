"""How a layer reads units, and what replaces units that are constant."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_netopt.training.constraint import MaskConstraint


@dataclass(frozen=True, eq=False)
class FoldTarget:
    """Where the effect of a constant can be added.

    Args:
        variable: A bias, or the moving mean of a batch normalization.
        sign: Factor of what is added. Defaults to `1`.
        row: The row of a bias of several rows. Defaults to `None`.
    """

    variable: Any
    sign: int = 1
    row: int | None = None

    def can_hold(self, values: np.ndarray) -> bool:
        """Whether no mask of the variable would set an added value to zero."""
        constraint = self.variable.constraint
        if not isinstance(constraint, MaskConstraint):
            return True
        mask = np.asarray(ops.convert_to_numpy(constraint.mask), bool)
        mask = mask if self.row is None else mask[self.row]
        return not values[~mask.reshape(values.shape)].any()

    def add(self, values: np.ndarray) -> None:
        """Adds values to the variable."""
        array = np.array(read_weight(self.variable))
        part = array if self.row is None else array[self.row]
        part += self.sign * values.reshape(part.shape)
        self.variable.assign(array.astype("float32"))


@dataclass(frozen=True, eq=False)
class ReadEdge:
    """One call that reads the units along an axis of a weight.

    Args:
        layer: The layer that reads.
        variable: The weight.
        axis: The axis of the units.
        needed: For each unit whether an output that is used reads it.
        deltas: For each unit what it adds to all outputs: a constant vector,
            or NaN where it is no constant.
        values: For each unit its constant, NaN where it varies.
        target: Where `deltas` can be added instead; `None` if nowhere.
        reason: Why a constant unit with `deltas` of NaN must stay.
    """

    layer: Any
    variable: Any
    axis: int
    needed: np.ndarray
    deltas: np.ndarray
    values: np.ndarray
    target: FoldTarget | None
    reason: str = ""

    def problem(self, unit: int) -> str | None:
        """Returns why a unit must stay; "" if it varies, `None` if nothing."""
        if not self.needed[unit]:
            return None
        if np.isnan(self.values[unit]):
            return ""
        if not np.isfinite(self.deltas[unit]).all():
            return self.reason
        if self.deltas[unit].any() and self.target is None:
            return f"'{self.layer.name}' has no bias that could hold it"
        if self.target and not self.target.can_hold(self.deltas[unit]):
            return (
                f"the bias of '{self.layer.name}' that could hold it is masked"
            )
        return None


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A layer's linear function from units to outputs.

    Args:
        layer: The layer.
        variable: The weight.
        axis: Its axis of the units.
        reads: Whether each output reads each unit, (units, outputs).
        gain: Factor from a constant input to the outputs; `None` if an
            output is not constant then, because of zeros around the input.
        target: Where constants are added; `None` without a bias.
        reason: Why `gain` is `None`. Defaults to `""`.
    """

    layer: Any
    variable: Any
    axis: int
    reads: np.ndarray
    gain: np.ndarray | None
    target: FoldTarget | None
    reason: str = ""

    def deltas(self, values: np.ndarray) -> np.ndarray:
        """Returns what each unit adds to the outputs, NaN if it varies."""
        varies = np.isnan(values)
        known = np.where(varies, 0, values)
        if self.gain is None:
            found = np.where((known != 0)[:, None] & self.reads, np.nan, 0.0)
        else:
            found = known[:, None] * self.gain
        return np.where(varies[:, None] & self.reads, np.nan, found)

    def edge(self, values: np.ndarray, used: np.ndarray) -> ReadEdge:
        """Returns the edge of one call."""
        needed = (self.reads & used[None]).any(axis=1)
        return ReadEdge(
            self.layer,
            self.variable,
            self.axis,
            needed,
            self.deltas(values),
            values,
            self.target,
            self.reason,
        )


def read_weight(variable: Any) -> np.ndarray:
    """Reads a weight in double precision."""
    array = ops.convert_to_numpy(ops.cast(variable, "float32"))
    return np.asarray(array, "float64")


def apply_function(
    function: Callable[[Any], Any] | None, values: np.ndarray
) -> np.ndarray:
    """Applies an activation to constants; NaN stays NaN."""
    known = ~np.isnan(values)
    if function is None or not known.any():
        return values
    given = np.where(known, values, 0).astype("float32")[None]
    made = np.asarray(
        ops.convert_to_numpy(function(ops.convert_to_tensor(given)))
    )[0]
    return np.where(known, made.astype("float64"), np.nan)
