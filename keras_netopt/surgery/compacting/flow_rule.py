"""Base class of the rules by which constants and uses pass through calls."""

from typing import Any

import numpy as np

from keras_netopt.surgery.compacting.read_edge import ReadEdge, read_weight
from keras_netopt.surgery.compacting.tensor_facts import TensorFacts


class FlowRule:
    """Tells which outputs of a call are constant and which inputs it uses.

    This one knows nothing of the call: its outputs vary, it uses all inputs,
    and their units must stay.

    Args:
        call: A `ListedCall`.
        facts: The facts of all tensors.
    """

    is_known = False

    def __init__(self, call: Any, facts: TensorFacts) -> None:
        self.call = call
        self.facts = facts

    def forward(self) -> None:
        """Sets the constants of the outputs."""

    def backward(self) -> None:
        """Marks the inputs that are used."""
        for tensor in self.call.inputs:
            self.facts.use(tensor)

    def edges(self) -> list[ReadEdge]:
        """Returns how the call reads units."""
        return []


class PassageRule(FlowRule):
    """The passage of a tensor into or out of a nested model."""

    is_known = True

    def forward(self) -> None:
        if self.call.is_known:
            (outer,), (inner,) = self.call.inputs, self.call.outputs
            self.facts.set_values(inner, self.facts.values(outer))

    def backward(self) -> None:
        (outer,), (inner,) = self.call.inputs, self.call.outputs
        groups = self.facts.groups(inner), self.facts.groups(outer)
        if self.call.is_known and len(groups[0]) == len(groups[1]):
            axis = self.facts.axis(outer)
            self.facts.use(outer, self.facts.used(inner), axis or 0)
        else:
            self.facts.use(outer)


class TableRule(FlowRule):
    """An embedding: a column of equal entries is a constant."""

    is_known = True

    def forward(self) -> None:
        table = read_weight(self.call.layer.embeddings)
        is_equal = (table == table[:1]).all(axis=0)
        values = np.where(is_equal, table[0], np.nan)
        self.facts.set_values(self.call.outputs[0], values)
