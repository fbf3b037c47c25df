"""Kernels as a direction and a length per output unit: w = g v / ||v||."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops

from keras_netopt.graph.layers import own_variables, walk_layers, weight_name
from keras_netopt.sparsity.kernel_view import KernelView

KERNELS = (
    "kernel",
    "recurrent_kernel",
    "depthwise_kernel",
    "pointwise_kernel",
)


INITIALIZERS = (
    "kernel_initializer",
    "recurrent_initializer",
    "depthwise_initializer",
    "pointwise_initializer",
)


@dataclass(frozen=True, eq=False)
class NormalizedKernel:
    """One kernel v of a layer, which its calls see as g v / ||v||.

    Args:
        name: Name of the weight: "kernel", "recurrent_kernel", ...
        layer: The layer that multiplies with it.
        attributes: The layer's attributes that hold it.
        v: The kernel.
        columns: The axes of the kernel that count output units.
    """

    name: str
    layer: keras.Layer = field(repr=False)
    attributes: tuple[str, ...]
    v: keras.Variable = field(repr=False)
    columns: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in which one value per output unit is broadcast."""
        return tuple(
            size if axis in self.columns else 1
            for axis, size in enumerate(self.v.shape)
        )

    @property
    def unit_count(self) -> int:
        """The number of output units."""
        return math.prod(self.shape)

    def norms(self) -> Any:
        """Returns the norm of v per output unit, a float32 vector."""
        return ops.reshape(ops.sqrt(self._squares(self.v.value)), (-1,))

    def normalize(self, g: Any, v: Any = None) -> Any:
        """Returns g v / ||v||, in float32; a unit of zeros stays zero."""
        v = ops.cast(self.v.value if v is None else v, "float32")
        squares = self._squares(v)
        is_zero = squares == 0.0
        inverse = ops.rsqrt(ops.where(is_zero, 1.0, squares))
        g = ops.reshape(ops.cast(g, "float32"), self.shape)
        return v * (g * ops.where(is_zero, 0.0, inverse))

    def is_held(self) -> bool:
        """Whether the layer still multiplies with this variable."""
        held = vars(self.layer)
        return all(held.get(name) is self.v for name in self.attributes)

    @contextlib.contextmanager
    def replaced(self, value: Any) -> Iterator[None]:
        """Lets the layer read another value in the place of its kernel."""
        value = ops.cast(value, self.layer.compute_dtype)
        # Not with `setattr`: Keras and torch would track the tensor.
        for name in self.attributes:
            object.__setattr__(self.layer, name, value)
        try:
            yield
        finally:
            for name in self.attributes:
                object.__setattr__(self.layer, name, self.v)

    def _squares(self, v: Any) -> Any:
        axes = [k for k in range(len(self.shape)) if k not in self.columns]
        v = ops.cast(v, "float32")
        return ops.sum(ops.square(v), axis=axes, keepdims=True)


def find_zero_initializer(layer: keras.Layer) -> str:
    """Returns "name=initializer" of a kernel that starts as zeros, or ""."""
    for inside in walk_layers(layer):
        for name in INITIALIZERS:
            given = getattr(inside, name, None)
            if isinstance(given, keras.initializers.Zeros):
                return f"{name}={given!r}"
    return ""


def find_kernels(layer: keras.Layer) -> list[NormalizedKernel]:
    """Finds the kernels of a built layer and of the layers inside it."""
    found = []
    for owner in walk_layers(layer):
        for variable in own_variables(owner):
            name = weight_name(variable, owner)
            if name not in KERNELS or len(variable.shape) < 2:
                continue
            columns = tuple(sorted(KernelView.of(variable, owner).columns))
            names = tuple(
                key for key, one in vars(owner).items() if one is variable
            )
            if names:
                found.append(
                    NormalizedKernel(name, owner, names, variable, columns)
                )
    return found
