"""Finds the residual blocks of a graph: sums `x + branch(x)`."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.model_graph import graph_outputs
from keras_netopt.graph.recorded_calls import list_calls


@dataclass(frozen=True)
class Residual:
    """One sum `x + branch(x)` in a Functional model.

    `shortcut` is the tensor x, `branch` the tensor branch(x), and `position`
    the index of x in the two arguments of the sum.
    """

    operation: keras.Operation
    shortcut: Any
    branch: Any
    position: int


def find_residuals(model: keras.Model) -> tuple[Residual, ...]:
    """Lists the sums of a tensor and a branch computed from it alone.

    A block with a projection shortcut is not listed, nor is a block whose
    inner tensors are used outside of it: the block could not be skipped. The
    order is that of execution; blocks of nested models are excluded.
    """
    nodes = list(list_calls(model))
    graph = _Graph(nodes, graph_outputs(model))
    found = (graph.residual(node) for node in nodes)
    return tuple(block for block in found if block is not None)


class _Graph:
    """The producer and the consumers of each tensor."""

    def __init__(self, nodes: list[GraphNode], outputs: list[Any]) -> None:
        self.producers: dict[int, GraphNode] = {}
        self.consumers: dict[int, list[GraphNode]] = {}
        self.calls: dict[int, int] = {}
        self.outputs = {id(tensor) for tensor in outputs}
        for node in nodes:
            count = self.calls.get(id(node.operation), 0)
            self.calls[id(node.operation)] = count + 1
            for tensor in node.outputs:
                self.producers[id(tensor)] = node
            for tensor in node.input_tensors:
                self.consumers.setdefault(id(tensor), []).append(node)

    def residual(self, node: GraphNode) -> Residual | None:
        is_sum = type(node.operation).__name__ == "Add"
        # The calls of a layer that is called more than once share its name.
        if not is_sum or self.calls[id(node.operation)] > 1:
            return None
        tensors = list(node.input_tensors)
        if len(tensors) != 2 or tensors[0] is tensors[1]:
            return None
        for position in (0, 1):
            shortcut, branch = tensors[position], tensors[1 - position]
            if shortcut.shape == branch.shape and self._is_branch(
                node, shortcut, branch
            ):
                return Residual(node.operation, shortcut, branch, position)
        return None

    def _is_branch(self, total: Any, shortcut: Any, branch: Any) -> bool:
        """Returns whether `branch` is computed from `shortcut` alone."""
        inner, stack = set(), [branch]
        tensors = []
        while stack:
            tensor = stack.pop()
            if tensor is shortcut or id(tensor) in inner:
                continue
            inner.add(id(tensor))
            tensors.append(tensor)
            producer = self.producers.get(id(tensor))
            if (
                producer is None
                or producer.is_input
                or not producer.input_tensors
            ):
                return False
            stack.extend(producer.input_tensors)
        produced = {id(self.producers[id(tensor)]) for tensor in tensors}
        allowed = produced | {id(total)}
        return not any(
            id(tensor) in self.outputs
            or any(id(n) not in allowed for n in self.consumers[id(tensor)])
            for tensor in tensors
        )
