"""Recurrent layers.

The units of a layer are those of its cell; each gate has one segment of them.
Private name of Keras 3.15: `Layer._build_shapes_dict`.
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
    tensor_inputs,
)

L = keras.layers
GATES = {L.LSTMCell: 4, L.GRUCell: 3, L.SimpleRNNCell: 1}


@handles(L.LSTM, L.GRU, L.SimpleRNN, L.RNN)
class RecurrentHandler(Handler):
    """A unit is one entry of the state, in all gates."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        cell = layer.cell
        gates = GATES.get(type(cell))
        if gates is None:
            raise UnsupportedLayer(f"has a cell of type {type(cell).__name__}")
        sequence, *states = tensor_inputs(graph, node)
        ids = graph.channels(sequence, -1)
        units = graph.new_units(layer, cell.units)
        for state in states:
            if len(state.shape) != 2:
                raise UnsupportedLayer("is called with states of another rank")
            graph.couple(units, graph.channels(state, -1))
        graph.couple_axis(layer, cell.kernel, 0, ids, IN)
        graph.couple_axis(layer, cell.recurrent_kernel, 0, units, IN)
        blocks = np.tile(units, gates)
        graph.couple_axis(layer, cell.kernel, 1, blocks, OUT)
        graph.couple_axis(layer, cell.recurrent_kernel, 1, blocks, OUT)
        graph.couple_axis(layer, cell.bias, -1, blocks, OUT, new_value="mean")
        for state in getattr(layer, "states", None) or ():
            graph.couple_axis(layer, state, 1, units, PASS, new_value="zeros")
        check_activation(graph, cell, units)
        for output in node.outputs:
            graph.set_channels(output, len(output.shape) - 1, units)

    def update_attributes(self, layer: Any, node: Any) -> None:
        cell = layer.cell
        if type(cell) not in GATES:
            return  # It is not traced, so nothing of it has changed.
        cell.units = cell.output_size = int(cell.recurrent_kernel.shape[0])
        layer.state_size = [cell.units] * len(layer.state_size)
        cell.state_size = (
            cell.units if layer.single_state else list(layer.state_size)
        )
        inputs = int(cell.kernel.shape[0])
        shapes = cell._build_shapes_dict or {}
        cell._build_shapes_dict = {
            name: (*shape[:-1], inputs) for name, shape in shapes.items()
        }
