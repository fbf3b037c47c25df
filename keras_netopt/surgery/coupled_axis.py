"""Axes of variables that are coupled to channels."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

OUT, PASS, IN = "out", "pass", "in"


class UnsupportedLayer(Exception):
    """Raised by a handler that cannot trace the channels of a layer.

    The channels of the layer's inputs and outputs are then protected, with
    the message as the reason.

    Example:

    >>> str(UnsupportedLayer("sorts its channels"))
    'sorts its channels'
    """


@dataclass(frozen=True)
class CoupledAxis:
    """An axis of a variable whose positions are units.

    Example:

    >>> import keras
    >>> kernel = keras.Variable(np.zeros((3, 2)), name="kernel")
    >>> CoupledAxis(None, kernel, 1, np.arange(2), OUT)
    CoupledAxis(kernel, axis=1, role='out')

    Args:
        layer: The layer that holds the variable.
        variable: The variable.
        axis: The axis, not negative.
        ids: The unit of each position along the axis.
        role: `"out"` if the axis makes the units, `"in"` if it takes them as
            input, `"pass"` for one parameter per unit.
        new_value: Initial value of a new unit: `"random"`, `"zeros"`,
            `"ones"`, or `"mean"` of the old entries of its segment (gate).
        power: Exponent p of the factor (new length / old length) ** p by
            which the whole variable is multiplied: attention divides by the
            root of its key size. Defaults to `0.0`, no factor.
    """

    layer: Any
    variable: Any
    axis: int
    ids: np.ndarray = field(compare=False)
    role: str
    new_value: str = "random"
    power: float = 0.0

    def __repr__(self) -> str:
        name = self.variable.name
        return f"CoupledAxis({name}, axis={self.axis}, role={self.role!r})"
