"""Patterns: which weights are pruned together."""

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.serialization import export_class
from keras_netopt.sparsity.kernel_view import KernelView


class Pattern:
    """Base class of patterns: which weights are kept or pruned together.

    A pattern divides the matrix of a `KernelView` into units. A subclass
    overrides `pool`, `sizes` and `spread`.
    """

    fixed_sparsity: ClassVar[float | None] = None

    @property
    def label(self) -> str:
        """The pattern's short name, as reports show it."""
        return type(self).__name__.lower()

    def reason_to_skip(self, view: KernelView) -> str | None:
        """Returns why a weight does not fit, `None` if it does."""
        return None

    def pool(self, matrix: np.ndarray) -> np.ndarray:
        """Reduces scores of shape `(fan_in, fan_out)` to a matrix of units."""
        raise NotImplementedError

    def sizes(self, shape: tuple[int, int]) -> np.ndarray:
        """Counts the weights in each unit, in the shape that `pool` returns."""
        raise NotImplementedError

    def spread(self, units: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Gives every weight of the matrix the value of its unit."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Pattern":
        """Creates the pattern from `get_config`."""
        return cls(**config)


@export_class
@dataclass(frozen=True)
class Unstructured(Pattern):
    """Single weights: the most accurate pattern at equal sparsity.

    Short form: `"unstructured"`.

    Example:

    >>> Unstructured().label
    'unstructured'
    """

    def pool(self, matrix: np.ndarray) -> np.ndarray:
        """Returns the scores as they are."""
        return matrix

    def sizes(self, shape: tuple[int, int]) -> np.ndarray:
        """Returns ones: every unit is one weight."""
        return np.broadcast_to(np.int64(1), shape)

    def spread(self, units: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Returns the units as they are."""
        return units


@export_class
@dataclass(frozen=True)
class Block(Pattern):
    """Rectangles of the `(fan_in, fan_out)` matrix are pruned as a whole.

    The rectangles start at the first row and column; those at a ragged edge
    are smaller and pooled over the weights they really have. Kernels that
    skip blocks of zeros can be faster with this pattern.

    Example:

    >>> import numpy as np
    >>> Block(2, 1).pool(np.array([[1.0, 4.0], [3.0, 2.0], [5.0, 6.0]]))
    array([[2., 3.],
           [5., 6.]])

    Args:
        h: Rows in a block, along the input.
        w: Columns in a block, along the output units.
        pooling: "mean" or "max" of the scores in a block. Defaults to
            `"mean"`.

    Raises:
        TypeError: If `h` or `w` is not an integer.
        ValueError: If one is below 1, or `pooling` is not one of the two.
    """

    h: int
    w: int
    pooling: str = "mean"

    def __post_init__(self) -> None:
        object.__setattr__(self, "h", check_integer(self.h, "h", minimum=1))
        object.__setattr__(self, "w", check_integer(self.w, "w", minimum=1))
        check_choice(self.pooling, "pooling", ("mean", "max"))

    @property
    def label(self) -> str:
        """The pattern's short name, as in "block 4x1"."""
        return f"block {self.h}x{self.w}"

    def pool(self, matrix: np.ndarray) -> np.ndarray:
        """Returns the mean or the largest score of each block."""
        ufunc = np.maximum if self.pooling == "max" else np.add
        pooled = self._reduce(ufunc, matrix)
        if self.pooling == "max":
            return pooled
        return pooled / self.sizes((matrix.shape[0], matrix.shape[1]))

    def _reduce(self, ufunc: np.ufunc, matrix: np.ndarray) -> np.ndarray:
        rows = np.arange(0, matrix.shape[0], self.h)
        columns = np.arange(0, matrix.shape[1], self.w)
        return ufunc.reduceat(ufunc.reduceat(matrix, rows, 0), columns, 1)

    def sizes(self, shape: tuple[int, int]) -> np.ndarray:
        """Counts the weights of each block, fewer at a ragged edge."""
        rows, columns = (
            np.minimum(step, size - np.arange(0, size, step))
            for size, step in zip(shape, (self.h, self.w), strict=True)
        )
        return np.outer(rows, columns)

    def spread(self, units: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Repeats each block's value over its rows and columns."""
        wide = np.repeat(np.repeat(units, self.h, 0), self.w, 1)
        return wide[: shape[0], : shape[1]]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return asdict(self)


@export_class
@dataclass(frozen=True)
class Channel(Pattern):
    """Whole output units are pruned: a mask, not a smaller model.

    The score of a unit is the sum of the scores of its weights. Short form:
    `"channel"`.

    Example:

    >>> import numpy as np
    >>> Channel().pool(np.array([[1.0, 4.0], [3.0, 2.0]]))
    array([[4., 6.]])
    """

    def pool(self, matrix: np.ndarray) -> np.ndarray:
        """Returns the sum of each column."""
        return matrix.sum(axis=0, keepdims=True)

    def sizes(self, shape: tuple[int, int]) -> np.ndarray:
        """Returns the column's length for every unit."""
        return np.full((1, shape[1]), shape[0])

    def spread(self, units: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Repeats each unit's value down its column."""
        return np.broadcast_to(units, shape).copy()


@export_class
@dataclass(frozen=True)
class NM(Pattern):
    """N:m pattern: at most `n` weights are kept in every run of `m` weights.

    Runs lie along the contracted axis: the input of a Dense, the input
    channels of a convolution, the axes that an `EinsumDense` sums over. The
    sparsity is `1 - n / m`; a schedule passes through `m - 1` of `m`,
    `m - 2` of `m` and so on. Short form: `"2:4"`.

    Example:

    >>> NM(2, 4).fixed_sparsity
    0.5
    >>> [NM(2, 4).kept(sparsity) for sparsity in (0.0, 0.1, 0.3, 0.5)]
    [4, 4, 3, 2]

    Args:
        n: Weights kept in a run, at least 1.
        m: Weights in a run, more than `n`. It must divide the axis, or the
            weight is skipped.
        axis: "input" or "output", the axis that runs lie along. Defaults to
            `"input"`.

    Raises:
        TypeError: If `n` or `m` is not an integer.
        ValueError: If `n` is not below `m`, or `axis` is not one of the two.
    """

    n: int
    m: int
    axis: str = "input"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", check_integer(self.n, "n", minimum=1))
        object.__setattr__(self, "m", check_integer(self.m, "m", minimum=2))
        if self.n >= self.m:
            raise ValueError(
                "Argument `n` must be below `m`: n of m weights are kept. "
                f"Received: n={self.n}, m={self.m}"
            )
        check_choice(self.axis, "axis", ("input", "output"))

    @property
    def label(self) -> str:
        """The pattern's short name, as in "2:4"."""
        suffix = "" if self.axis == "input" else " along the output"
        return f"{self.n}:{self.m}{suffix}"

    @property
    def fixed_sparsity(self) -> float:  # type: ignore[override]
        """The sparsity of the pattern: `1 - n / m`."""
        return 1.0 - self.n / self.m

    def reason_to_skip(self, view: KernelView) -> str | None:
        """Skips weights whose axis is not a multiple of `m`."""
        size = view.run if self.axis == "input" else view.matrix_shape[1]
        if size % self.m == 0:
            return None
        return f"{self.axis} axis of {size} is not divisible by {self.m}"

    def kept(self, sparsity: float) -> int:
        """Returns the number of weights of a run kept at a sparsity."""
        # 0.3 * 4 must not round up for its last binary digit.
        kept = math.ceil((1.0 - sparsity) * self.m - 1e-9)
        return max(self.n, min(self.m, kept))

    def runs(self, matrix: np.ndarray) -> np.ndarray:
        """Rearranges a matrix into one with a run in each column."""
        lines = matrix.T if self.axis == "input" else matrix
        return lines.reshape(-1, self.m).T

    def join(self, runs: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Rearranges the result of `runs` back into a matrix."""
        if self.axis == "output":
            return runs.T.reshape(shape)
        return runs.T.reshape(shape[1], shape[0]).T

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return asdict(self)


def resolve_pattern(pattern: Any) -> Pattern:
    """Returns the `Pattern` for a pattern or its short form."""
    if isinstance(pattern, Pattern):
        return pattern
    short: dict[str, type[Pattern]] = {
        "unstructured": Unstructured,
        "channel": Channel,
    }
    if isinstance(pattern, str) and pattern in short:
        return short[pattern]()
    if isinstance(pattern, str):
        found = re.fullmatch(r"(\d+):(\d+)", pattern)
        if found:
            return NM(int(found[1]), int(found[2]))
    raise ValueError(
        "Argument `pattern` must be one of 'unstructured', 'channel', 'n:m' "
        "as in '2:4', or a Block, Channel, NM or Unstructured. "
        f"Received: pattern={pattern!r}"
    )
