"""Units, the channels of a model, and what ties them to its variables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras
import numpy as np

OUT, PASS, IN = "out", "pass", "in"


class Unsupported(Exception):
    """A handler cannot say what a layer does with its channels.

    Everything that the layer touches is then left alone, and the graph keeps
    the message as the reason.

    Example:

    >>> str(Unsupported("sorts its channels"))
    'sorts its channels'
    """


@dataclass(frozen=True)
class Label:
    """The axis of a tensor that carries units, and which.

    Example:

    >>> Label(3, np.arange(2)).axis
    3

    Args:
        axis: Which axis, not negative.
        ids: The unit of each position along it.
    """

    axis: int
    ids: np.ndarray


@dataclass(frozen=True)
class Binding:
    """One axis of one variable whose positions are units.

    Example:

    >>> kernel = keras.Variable(np.zeros((3, 2)), name="kernel")
    >>> Binding(None, kernel, 1, np.arange(2), OUT)
    Binding(kernel, axis=1, role='out')

    Args:
        layer: The layer that holds the variable.
        variable: The variable.
        axis: Which of its axes, not negative.
        ids: The unit of each position along the axis.
        role: `"out"` where the axis makes the units, `"in"` where it reads
            them, `"pass"` for one parameter a unit on the way.
        fresh: What a brand-new unit gets here: `"random"`, `"zeros"`,
            `"ones"`, or `"mean"` of the old entries of its segment.
        power: The whole variable is multiplied by (new length of the axis /
            old length) to this power: attention divides by the root of its
            key size. Defaults to `0.0`, no factor.
    """

    layer: Any
    variable: Any
    axis: int
    ids: np.ndarray = field(compare=False)
    role: str
    fresh: str = "random"
    power: float = 0.0

    def __repr__(self) -> str:
        name = self.variable.name
        return f"Binding({name}, axis={self.axis}, role={self.role!r})"


class Arguments(NamedTuple):
    """What a layer was called with."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class OperationCall:
    """One call of a layer inside a wrapper; it reads like a Keras node.

    Args:
        operation: The inner layer.
        arguments: Its positional and keyword arguments.
        outputs: Its flat outputs.
    """

    operation: Any
    arguments: Arguments
    outputs: list[Any]

    @property
    def input_tensors(self) -> list[Any]:
        """The flat tensors among the arguments."""
        flat = keras.tree.flatten(tuple(self.arguments))
        return [leaf for leaf in flat if isinstance(leaf, keras.KerasTensor)]


def connected(
    count: int, pairs: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Numbers the classes that pairs of units make.

    Example:

    >>> connected(5, [(np.array([0, 1]), np.array([3, 4]))])
    array([0, 1, 2, 0, 1])

    Args:
        count: Number of units.
        pairs: Arrays of equal length: the units at each place belong
            together.

    Returns:
        The class of each unit; classes are numbered by their first unit.
    """
    parent = np.arange(count)
    empty: list[np.ndarray] = [np.zeros(0, "int64")]
    left = np.concatenate(empty + [np.asarray(a) for a, _ in pairs])
    right = np.concatenate(empty + [np.asarray(b) for _, b in pairs])
    while len(left):
        one, other = parent[left], parent[right]
        apart = one != other
        if not apart.any():
            break
        left, right = left[apart], right[apart]
        low = np.minimum(one, other)[apart]
        np.minimum.at(parent, one[apart], low)
        np.minimum.at(parent, other[apart], low)
        while (parent[parent] != parent).any():
            parent = parent[parent]
    return np.unique(parent, return_inverse=True)[1].reshape(-1)
