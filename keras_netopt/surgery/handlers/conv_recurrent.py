"""Convolutional recurrent layers.

The units of a layer are the filters of its cell, of which each gate has one
segment. Private name of Keras 3.15: `Layer._build_shapes_dict`.
"""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import (
    IN,
    OUT,
    PASS,
    UnsupportedLayer,
)
from keras_netopt.surgery.handler_registry import Handler, handles
from keras_netopt.surgery.handlers.activations import check_activation
from keras_netopt.surgery.handlers.handler_tools import (
    channel_axis,
    tensor_inputs,
)

GATES = 4


@handles(
    keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D
)
class ConvRecurrentHandler(Handler):
    """A unit is one channel of the state, in all gates."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        cell = layer.cell
        sequence, *states = tensor_inputs(graph, node)
        axis = channel_axis(cell)
        ids = graph.channels(sequence, _after_steps(axis))
        units = graph.new_units(layer, cell.filters)
        rank = len(sequence.shape) - 1
        for state in states:
            if len(state.shape) != rank:
                raise UnsupportedLayer("is called with states of another rank")
            graph.couple(units, graph.channels(state, axis))
        gates = np.tile(units, GATES)
        for kernel, read in (
            (cell.kernel, ids),
            (cell.recurrent_kernel, units),
        ):
            graph.couple_axis(layer, kernel, cell.rank, read, IN)
            graph.couple_axis(layer, kernel, cell.rank + 1, gates, OUT)
        graph.couple_axis(layer, cell.bias, 0, gates, OUT, new_value="mean")
        for state in getattr(layer, "states", None) or ():
            graph.couple_axis(
                layer, state, axis, units, PASS, new_value="zeros"
            )
        check_activation(graph, cell, units)
        for output in node.outputs:
            is_sequence = len(output.shape) > rank
            graph.set_channels(
                output, _after_steps(axis) if is_sequence else axis, units
            )

    def update_attributes(self, layer: Any, node: Any) -> None:
        cell = layer.cell
        inputs, gates = (int(size) for size in cell.kernel.shape[-2:])
        cell.filters, cell.input_dim = gates // GATES, inputs
        cell.kernel_shape = tuple(int(size) for size in cell.kernel.shape)
        axis = channel_axis(cell)

        def resized(shape: Any) -> tuple[int | None, ...]:
            sizes = list(shape)
            sizes[axis] = inputs
            return tuple(sizes)

        spec = cell.input_spec
        cell.input_spec = keras.InputSpec(
            ndim=spec.ndim, shape=resized(spec.shape)
        )
        shapes = cell._build_shapes_dict or {}
        cell._build_shapes_dict = {
            name: resized(shape) for name, shape in shapes.items()
        }


def _after_steps(axis: int) -> int:
    """Returns the channel axis of a sequence for that of one step."""
    return axis if axis < 0 else axis + 1
