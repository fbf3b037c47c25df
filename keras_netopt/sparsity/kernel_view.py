"""Views of the kernels of all layer types as matrices."""

import math
from dataclasses import dataclass

import keras
import numpy as np

CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True)
class KernelView:
    """View of a weight as a matrix of shape `(fan_in, fan_out)`.

    The columns are the output units, the rows the inputs that one output unit
    sums over. The rows of a convolution are ordered by the position in the
    window, then by the input channel: `run` consecutive rows are the input
    channels at one position. A weight of three axes in a layer that has no
    window, such as the kernels of several experts, is a `stack` of matrices,
    which lie side by side: the first `fan_out / stack` columns are the first
    matrix.

    Example:

    >>> import keras
    >>> conv = keras.layers.Conv2D(8, 3)
    >>> conv.build((None, 16, 16, 4))
    >>> view = KernelView.of(conv.kernel, conv)
    >>> view.fan_in, view.fan_out, view.run
    (36, 8, 4)

    Args:
        shape: Shape of the weight.
        rows: Axes of the weight that form the rows, outermost first.
        columns: Axes of the weight that form the columns.
        run: Number of consecutive rows along the contracted axis.
        stack: Number of matrices. Defaults to `1`.
    """

    shape: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    run: int
    stack: int = 1

    @classmethod
    def of(
        cls,
        variable: keras.Variable,
        layer: keras.Layer,
        shape: tuple[int, ...] | None = None,
    ) -> "KernelView":
        """Creates the view of a weight for the layer that has created it.

        For Dense, convolutions (also transposed and depthwise) and
        `EinsumDense` the output axes are known; in any other layer the last
        axis is the output, and the first of three is a stack.

        Args:
            variable: The weight.
            layer: The layer that created it.
            shape: Its shape unpacked, if several weights share a byte.
                Defaults to `None`: the shape of the variable.

        Returns:
            The view.
        """
        shape = tuple(int(n) for n in shape or variable.shape)
        rank = len(shape)
        if rank < 2 or variable.name.endswith("bias"):
            return cls(shape, (), tuple(range(rank)), 1)
        if isinstance(layer, keras.layers.EinsumDense):
            if variable.name == "kernel":
                return _from_equation(shape, layer.equation)
        spatial = tuple(range(rank - 2))
        if isinstance(layer, DEPTHWISE) or variable.name == "depthwise_kernel":
            return cls(shape, spatial, (rank - 2, rank - 1), 1)
        if isinstance(layer, TRANSPOSED):
            return cls(shape, (*spatial, rank - 1), (rank - 2,), shape[-1])
        if rank == 3 and not _has_window(variable, layer):
            return cls(shape, (1,), (0, 2), shape[1], shape[0])
        return cls(shape, (*spatial, rank - 2), (rank - 1,), shape[-2])

    @property
    def fan_in(self) -> int:
        """Number of rows: weights that feed one output unit."""
        return math.prod(self.shape[axis] for axis in self.rows)

    @property
    def fan_out(self) -> int:
        """Number of columns: output units."""
        return math.prod(self.shape[axis] for axis in self.columns)

    @property
    def size(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Shape of one matrix of the stack; of the whole without one."""
        return self.fan_in, self.fan_out // self.stack

    def to_2d(self, array: np.ndarray) -> np.ndarray:
        """Rearranges an array of the weight's shape into the matrix.

        Args:
            array: Array of shape `shape`.

        Returns:
            Array of shape `(fan_in, fan_out)`, a view where possible.
        """
        order = self.rows + self.columns
        return np.transpose(array, order).reshape(self.fan_in, self.fan_out)

    def from_2d(self, matrix: np.ndarray) -> np.ndarray:
        """Rearranges a matrix back into the weight's shape.

        Args:
            matrix: Array of shape `(fan_in, fan_out)`.

        Returns:
            Array of shape `shape`.
        """
        order = self.rows + self.columns
        parts = matrix.reshape([self.shape[axis] for axis in order])
        return np.transpose(parts, np.argsort(np.array(order, dtype=int)))


def _has_window(variable: keras.Variable, layer: keras.Layer) -> bool:
    """Whether a weight belongs to a convolution, also of another author."""
    return hasattr(layer, "kernel_size") or variable.name == "pointwise_kernel"


def _from_equation(shape: tuple[int, ...], equation: str) -> KernelView:
    inputs, labels, output = split_equation(equation)
    rows = tuple(i for i, label in enumerate(labels) if label not in output)
    batch = tuple(
        i
        for i, label in enumerate(labels)
        if label in output and label in inputs
    )
    columns = tuple(
        i
        for i, label in enumerate(labels)
        if label in output and i not in batch
    )
    run = math.prod(shape[axis] for axis in rows)
    stack = math.prod(shape[axis] for axis in batch)
    return KernelView(shape, rows, (*batch, *columns), run, stack)


def split_equation(equation: str) -> tuple[str, str, str]:
    """Splits "abc,cd->abd" into input, kernel and output letters."""
    operands, output = equation.replace("...", "").split("->")
    inputs, kernel = operands.split(",")
    return inputs.strip(), kernel.strip(), output.strip()
