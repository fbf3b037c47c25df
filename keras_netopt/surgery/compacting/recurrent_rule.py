"""Recurrent layers: units whose state stays zero, or that nobody reads."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.surgery.compacting.flow_rule import FlowRule
from keras_netopt.surgery.compacting.read_edge import (
    FoldTarget,
    LinearMap,
    ReadEdge,
    read_weight,
)
from keras_netopt.surgery.compacting.tensor_facts import TensorFacts

L = keras.layers
# Number of gates, and which of them writes new values into the state.
GATES: dict[type, tuple[int, int]] = {
    L.LSTMCell: (4, 2),
    L.GRUCell: (3, 2),
    L.SimpleRNNCell: (1, 0),
}


class RecurrentRule(FlowRule):
    """A recurrent layer that starts from states of zero.

    A unit is zero at all steps if the gate that writes into its state reads
    nothing and has a bias of zero.
    """

    is_known = True

    def __init__(self, call: Any, facts: TensorFacts) -> None:
        super().__init__(call, facts)
        layer = call.layer
        self._layers = [layer]
        if isinstance(layer, L.Bidirectional):
            self._layers = [layer.forward_layer, layer.backward_layer]
        self._joins = len(self._layers) == 2 and layer.merge_mode == "concat"
        self._tensor = call.arguments[0]
        self._parts = [RecurrentWeights(one) for one in self._layers]

    def forward(self) -> None:
        zeros = [part.zero_units(self._values()) for part in self._parts]
        if self._joins:
            zero = np.concatenate(zeros)
        else:
            zero = np.logical_and.reduce(zeros)
        for output in self.call.outputs:
            self.facts.set_values(output, np.where(zero, 0, np.nan))

    def backward(self) -> None:
        needed = np.logical_or.reduce([edge.needed for edge in self._inputs()])
        self.facts.use(self._tensor, needed, len(self._tensor.shape) - 1)

    def edges(self) -> list[ReadEdge]:
        states = [
            part.state_edge(used, self._values())
            for part, used in zip(self._parts, self._used(), strict=True)
        ]
        return [*self._inputs(), *states]

    def _inputs(self) -> list[ReadEdge]:
        return [
            part.input_edge(used, self._values())
            for part, used in zip(self._parts, self._used(), strict=True)
        ]

    def _values(self) -> np.ndarray:
        rank, size = len(self._tensor.shape), self._parts[0].inputs
        return self.facts.values(self._tensor, rank - 1, size)

    def _used(self) -> list[np.ndarray]:
        """Returns the used units of each layer, also those used inside."""
        size = self._parts[0].units * (2 if self._joins else 1)
        used: np.ndarray = np.zeros(size, bool)
        for output in self.call.outputs:
            axis = len(output.shape) - 1
            used = used | self.facts.used(output, axis, size)
        rows = np.split(used, 2) if self._joins else [used] * len(self._parts)
        return [
            part.spread(row)
            for part, row in zip(self._parts, rows, strict=True)
        ]


class RecurrentWeights:
    """The weights of a recurrent layer, by unit."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.cell = cell = layer.cell
        gates, self._writer = GATES[type(cell)]
        self._kernel = read_weight(cell.kernel)
        self.inputs = self._kernel.shape[0]
        self.units = int(cell.recurrent_kernel.shape[0])
        self._gates = gates
        recurrent = read_weight(cell.recurrent_kernel)
        self._by_gate = recurrent.reshape(self.units, gates, self.units)
        # Whether unit k has an effect on another unit.
        self._reads = (self._by_gate != 0).any(axis=1)
        np.fill_diagonal(self._reads, False)

    def spread(self, used: np.ndarray) -> np.ndarray:
        """Adds the units that used units read."""
        while True:
            more = used | (self._reads & used[None]).any(axis=1)
            if (more == used).all():
                return used
            used = more

    def zero_units(self, values: np.ndarray) -> np.ndarray:
        """Returns which units are zero at every step."""
        gate = slice(self._writer * self.units, (self._writer + 1) * self.units)
        kernel = self._kernel[values != 0][:, gate]
        zero = ~(kernel != 0).any(axis=0)
        if self.cell.bias is not None:
            bias = read_weight(self.cell.bias)
            zero &= ~(bias.reshape(-1, bias.shape[-1])[:, gate] != 0).any(
                axis=0
            )
        made = self.cell.activation(ops.zeros((1, 1)))
        if np.asarray(ops.convert_to_numpy(made)).any():
            return np.zeros(self.units, bool)
        recurrent = self._by_gate[:, self._writer]
        while True:
            less = zero & ~(recurrent[~zero] != 0).any(axis=0)
            if (less == zero).all():
                return zero
            zero = less

    def input_edge(self, used: np.ndarray, values: np.ndarray) -> ReadEdge:
        """Returns how the gates read the inputs."""
        cell, target = self.cell, None
        if cell.bias is not None:
            row = 0 if len(cell.bias.shape) == 2 else None
            target = FoldTarget(cell.bias, row=row)
        reads = self._kernel != 0
        one = LinearMap(self.layer, cell.kernel, 0, reads, self._kernel, target)
        return one.edge(values, np.tile(used, self._gates))

    def state_edge(self, used: np.ndarray, values: np.ndarray) -> ReadEdge:
        """Returns how the units read one another."""
        zero = self.zero_units(values)
        states = np.where(zero, 0, np.nan)
        return ReadEdge(
            self.layer,
            self.cell.recurrent_kernel,
            0,
            (self._reads & used[None]).any(axis=1),
            np.where(zero, 0, np.nan)[:, None],
            states,
            None,
        )
