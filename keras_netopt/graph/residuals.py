"""Finds the residual blocks of a graph: sums `x + branch(x)`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.model_graph import (
    graph_inputs,
    graph_outputs,
    is_graph_model,
)
from keras_netopt.graph.open_call import OpaqueCallError, open_call
from keras_netopt.graph.recorded_calls import list_calls

# Ops that read the shape of a tensor and not its values.
SHAPE_OPS = ("OnesLike", "ZerosLike", "EmptyLike", "FullLike", "Shape")


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
    inner tensors are used outside of it: the block could not be skipped. A
    branch that reads only the shape of x, such as position embeddings, is no
    block. The order is that of execution; blocks of nested models are
    excluded.
    """
    nodes = list(list_calls(model))
    graph = _Graph(nodes, graph_outputs(model))
    found = (graph.residual(node) for node in nodes)
    return tuple(block for block in found if block is not None)


def reads_values(
    producers: Mapping[int, GraphNode], made: list[Any], given: list[Any]
) -> bool:
    """Returns whether tensors are computed from the values of others.

    Layers of other packages are traced into. One that cannot be traced runs
    on two arrays of random numbers.

    Args:
        producers: The call that makes each tensor, by the tensor's `id`.
        made: Tensors.
        given: The tensors that they may be computed from.
    """
    wanted = {id(tensor) for tensor in given}
    seen, stack = set(), list(made)
    while stack:
        tensor = stack.pop()
        if id(tensor) in wanted:
            return True
        call = producers.get(id(tensor))
        if call is None or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        stack.extend(x for x in call.input_tensors if _reads(call, tensor, x))
    return False


def _reads(call: GraphNode, output: Any, tensor: Any) -> bool:
    """Returns whether an output of a call depends on the values of an input."""
    operation = call.operation
    if type(operation).__name__ in SHAPE_OPS:
        return False
    if is_graph_model(operation):
        calls = list(list_calls(operation))
        given, made = graph_inputs(operation), graph_outputs(operation)
        outside = call.input_tensors
        pairs = zip(given, outside, strict=False)
        given = [inner for inner, outer in pairs if outer is tensor]
    elif _is_foreign(operation):
        try:
            opened = open_call(call, _is_foreign)
        except OpaqueCallError:
            return _changes_with_values(call, tensor)
        calls, made = opened.nodes, opened.outputs
        given = [inner for outer, inner in opened.inputs if outer is tensor]
    else:
        return True
    if len(made) == len(call.outputs):
        made = [made[[id(x) for x in call.outputs].index(id(output))]]
    inside = {id(x): one for one in calls for x in one.outputs}
    return reads_values(inside, made, given)


def _changes_with_values(call: GraphNode, tensor: Any) -> bool:
    """Runs a call with two values of an input and compares the outputs."""
    rng = np.random.default_rng(0)

    def array(leaf: Any) -> Any:
        if not isinstance(leaf, keras.KerasTensor):
            return leaf
        shape = [size or 2 for size in leaf.shape]
        value = rng.random(shape) if leaf is tensor else np.ones(shape)
        return keras.ops.convert_to_tensor(value.astype(leaf.dtype))

    found = []
    try:
        for _ in range(2):
            given = keras.tree.map_structure(array, (call.args, call.kwargs))
            with keras.StatelessScope():
                outputs = call.operation(*given[0], **given[1])
            flat = keras.tree.flatten(outputs)
            found.append([keras.ops.convert_to_numpy(one) for one in flat])
    # The code of a user's `call` may raise any error on such inputs.
    except Exception:
        return True
    return any(not np.array_equal(a, b) for a, b in zip(*found, strict=True))


def _is_foreign(operation: Any) -> bool:
    """Returns whether an operation is a layer that is not one of Keras."""
    return isinstance(operation, keras.Layer) and not (
        type(operation).__module__.startswith("keras.src.")
    )


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
            if (
                shortcut.shape == branch.shape
                and self._is_branch(node, shortcut, branch)
                and reads_values(self.producers, [branch], [shortcut])
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
