"""Recurrent layers.

The units of a layer are those of its cell; each gate has one block of them.
Private name of Keras 3.15: `Layer._build_shapes_dict`.
"""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.graph.units import IN, OUT, PASS, Unsupported
from keras_netopt.surgery.handlers.common import check_activation, inputs_of
from keras_netopt.surgery.handlers.registry import Handler, handles

L = keras.layers
GATES = {L.LSTMCell: 4, L.GRUCell: 3, L.SimpleRNNCell: 1}


@handles(L.LSTM, L.GRU, L.SimpleRNN, L.RNN)
class RecurrentHandler(Handler):
    """One unit is one entry of the state, through all gates."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        cell = layer.cell
        gates = GATES.get(type(cell))
        if gates is None:
            raise Unsupported(f"has a cell of type {type(cell).__name__}")
        sequence, *states = inputs_of(graph, node)
        ids = graph.channels(sequence, -1)
        units = graph.new_units(layer, cell.units)
        for state in states:
            if len(state.shape) != 2:
                raise Unsupported("is called with states of another rank")
            graph.unite(units, graph.channels(state, -1))
        graph.bind(layer, cell.kernel, 0, ids, IN)
        graph.bind(layer, cell.recurrent_kernel, 0, units, IN)
        blocks = np.tile(units, gates)
        graph.bind(layer, cell.kernel, 1, blocks, OUT)
        graph.bind(layer, cell.recurrent_kernel, 1, blocks, OUT)
        graph.bind(layer, cell.bias, -1, blocks, OUT, fresh="mean")
        for state in getattr(layer, "states", None) or ():
            graph.bind(layer, state, 1, units, PASS, fresh="zeros")
        check_activation(graph, cell, units)
        for output in node.outputs:
            graph.set_label(output, len(output.shape) - 1, units)

    def sync(self, layer: Any, node: Any) -> None:
        cell = layer.cell
        cell.units = cell.output_size = int(cell.recurrent_kernel.shape[0])
        layer.state_size = [cell.units] * len(layer.state_size)
        cell.state_size = (
            cell.units if layer.single_state else list(layer.state_size)
        )
        inputs = int(cell.kernel.shape[0])
        _sync_build(cell, inputs)


def _sync_build(cell: Any, inputs: int) -> None:
    """Writes down the input that the cell would be built for."""
    shapes = cell._build_shapes_dict or {}
    cell._build_shapes_dict = {
        name: (*shape[:-1], inputs) for name, shape in shapes.items()
    }
