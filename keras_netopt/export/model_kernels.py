"""The kernels of a model and the grids that they lie on."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import keras
import numpy as np

from keras_netopt.graph.layers import (
    own_variables,
    variable_keys,
    walk_layers,
)
from keras_netopt.quantization.grids import (
    channel_axes,
    find_bits,
    find_integers,
)
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.prunability import (
    Prunability,
    classify,
    is_kernel,
)


@dataclass(frozen=True, eq=False)
class ModelKernel:
    """A kernel of a model, as LiteRT may store it.

    Args:
        key: Its unique name in the model.
        layer: The layer that holds it.
        values: Its values, float32.
        axes: The axes with one scale per index.
        view: Its view as a matrix.
        is_table: Whether its rows are looked up.
        is_default: Whether it is a kernel by its name or kind.
        bits: Bits of the smallest grid that holds it, or `None`.
    """

    key: str
    layer: keras.Layer = field(repr=False)
    values: np.ndarray = field(repr=False)
    axes: tuple[int, ...]
    view: KernelView = field(repr=False)
    is_table: bool
    is_default: bool
    bits: int | None

    def find_integers(self) -> np.ndarray | None:
        """Returns its integers on its grid, `None` off the grids."""
        if self.bits is None:
            return None
        return find_integers(self.values, self.axes, self.bits)[0]

    def iterate_orders(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """Yields the orders of axes in which a file may hold the kernel.

        Yields:
            The order of the axes, and how many of the first ones form the
            output channels; the others are what one channel sums over.
        """
        view, rank = self.view, self.values.ndim
        if self.is_table:
            yield tuple(range(rank)), 1
            return
        rows, columns = view.rows, view.columns
        if view.stack > 1:
            batch = tuple(a for a in columns if a < rank - 2) or columns[:1]
            rest = tuple(a for a in columns if a not in batch)
            yield (*batch, *rows, *rest), len(batch)
            yield (*batch, *rest, *rows), len(batch)
            return
        if not isinstance(self.layer, keras.layers.EinsumDense):
            yield (*columns, *rows), len(columns)
            if not self.is_default and rank == 2:
                yield (*rows, *columns), len(rows)
            return
        for one in itertools.permutations(columns):
            for two in itertools.permutations(rows):
                yield (*one, *two), len(one)


def list_kernels(model: keras.Model) -> list[ModelKernel]:
    """Lists the kernels of a model in the order of its layers.

    Args:
        model: A built model.

    Returns:
        Kernels, embedding tables and other matrices, each once; not those of
        layers that Keras has quantized.
    """
    keys = variable_keys(model)
    found: dict[int, ModelKernel] = {}
    for layer in walk_layers(model):
        if layer.quantization_mode is not None:
            continue
        for v in own_variables(layer):
            if id(v) not in found and is_kernel(v, layer):
                key = keys.get(id(v), v.path)
                found[id(v)] = _describe(key, v, layer)
    return list(found.values())


def _describe(
    key: str, variable: keras.Variable, layer: keras.Layer
) -> ModelKernel:
    kind, reason = classify(variable, layer, trainable=True)
    value = variable.value
    if hasattr(value, "read_value"):
        # NumPy 2 warns of the conversion of a variable of TensorFlow.
        value = value.read_value()
    values = keras.ops.convert_to_numpy(value)
    axes = channel_axes(variable, layer)
    default = kind is Prunability.DEFAULT or reason == "depthwise kernel"
    return ModelKernel(
        key,
        layer,
        values.astype("float32", copy=False),
        axes,
        KernelView.of(variable, layer),
        reason in ("embedding", "table"),
        default,
        _find_bits(values, axes),
    )


def _find_bits(values: np.ndarray, axes: tuple[int, ...]) -> int | None:
    """Finds the bits of a kernel; most are off the grids in few channels."""
    some = np.take(values, range(min(4, values.shape[axes[-1]])), axes[-1])
    if find_bits(some, axes) is None:
        return None
    return find_bits(values, axes)
