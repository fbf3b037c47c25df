"""The calls that Keras recorded when a model was built.

Private names of Keras 3.15: `Functional._nodes_by_depth`,
`KerasTensor._keras_history`, `Operation._inbound_nodes`.
"""

from collections.abc import Collection, Iterator
from typing import Any

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.model_graph import (
    graph_outputs,
    inner_graph,
    is_graph_model,
)


def list_calls(model: Any, around: tuple[Any, ...] = ()) -> Iterator[GraphNode]:
    """Yields the calls of a Functional or Sequential model, in order.

    A nested model is one call. Inputs are listed as well.

    Args:
        model: The model.
        around: The models around it, outermost first. Defaults to `()`.
    """
    owners = (*around, model)
    return (_as_call(node, owners) for node in _ordered_nodes(model))


def list_operations(model: Any) -> list[Any]:
    """Lists the layer or op of each of `list_calls`."""
    return [node.operation for node in _ordered_nodes(model)]


def list_all_calls(model: Any) -> Iterator[GraphNode]:
    """Yields the calls of a model, then those of its nested models.

    A nested model that is called several times is visited once.
    """
    seen: set[int] = set()
    stack: list[tuple[Any, ...]] = [(model,)]
    while stack:
        *around, owner = stack.pop()
        if id(inner_graph(owner)) in seen:
            continue
        seen.add(id(inner_graph(owner)))
        for call in list_calls(owner, tuple(around)):
            yield call
            if is_graph_model(call.operation):
                stack.append((*call.owners, call.operation))


def list_siblings(call: GraphNode) -> Iterator[GraphNode]:
    """Yields the calls of the innermost model around a call, in order."""
    return list_calls(call.owner, call.owners[:-1])


def find_consumers(call: GraphNode) -> list[GraphNode]:
    """Lists the calls that take the first output of a call, in order."""
    return [
        one
        for one in list_siblings(call)
        if any(tensor is call.output for tensor in one.input_tensors)
    ]


def is_model_output(call: GraphNode) -> bool:
    """Returns whether the model around a call returns its first output."""
    return any(one is call.output for one in graph_outputs(call.owner))


def trace_back(
    outputs: list[Any], stop: Collection[int] = ()
) -> list[GraphNode]:
    """Lists the calls that lead to some tensors, in order of execution.

    Args:
        outputs: The tensors.
        stop: The `id`s of tensors whose calls are not listed. Defaults to
            `()`.
    """
    seen: set[int] = set()
    found: list[GraphNode] = []
    stack = [(tensor, False) for tensor in reversed(outputs)]
    while stack:
        tensor, done = stack.pop()
        history = getattr(tensor, "_keras_history", None)
        if history is None or history.operation is None or id(tensor) in stop:
            continue
        node = history.operation._inbound_nodes[history.node_index]
        if done:
            found.append(_as_call(node))
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((tensor, True))
            stack.extend((one, False) for one in node.input_tensors)
    return found


def _ordered_nodes(model: Any) -> Iterator[Any]:
    by_depth = inner_graph(model)._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from by_depth[depth]


def _as_call(node: Any, owners: tuple[Any, ...] = ()) -> GraphNode:
    given = node.arguments
    outputs = tuple(node.outputs)
    return GraphNode(
        node.operation, given.args, given.kwargs, outputs, owners, recorded=node
    )
