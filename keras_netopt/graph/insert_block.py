"""Inserts layers into the graph of a built model or replaces calls, in place.

Private names of Keras 3.15: `Functional._inputs`, `_outputs`,
`_outputs_struct`, `_nodes`, `_nodes_by_depth`, `_operations`,
`_operations_by_depth`, `Layer._layers`, `_tracker`, `Sequential._functional`,
`Operation._inbound_nodes`, `_outbound_nodes`, `KerasTensor._keras_history`,
`_self_setattr_tracking`; `map_graph`, `SymbolicArguments`, `DotNotTrackScope`.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
from keras.src.ops.function import map_graph
from keras.src.ops.symbolic_arguments import SymbolicArguments
from keras.src.utils.tracking import DotNotTrackScope

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.model_graph import has_graph, inner_graph
from keras_netopt.graph.recorded_calls import (
    find_consumers,
    list_calls,
    trace_back,
)

Undo = Callable[[], None]
BlockFunction = Callable[[Any], Any]
_GRAPH = (
    "_outputs",
    "_outputs_struct",
    "_nodes",
    "_nodes_by_depth",
    "_operations",
    "_operations_by_depth",
)


def insert_block(
    place: GraphNode, build: BlockFunction, holders: Iterable[Any] = ()
) -> tuple[list[Any], Undo]:
    """Inserts layers between a call and its consumers.

    Layers and weights get the order of a model that is rebuilt from the
    config.

    Args:
        place: The call, as `list_all_calls` yields it.
        build: Calls layers on the tensor and returns a tensor of the same
            shape and dtype; in a Sequential model a chain of layers.
        holders: Other models whose graphs may share the call and its
            consumers; they get the layers as well. Defaults to none.

    Returns:
        The new layers and ops, in the order of the model, and a function
        that removes them again.

    Raises:
        ValueError: If `build` returns a tensor of another shape or dtype.
            The model is unchanged then.
    """
    with contextlib.ExitStack() as undo:
        graph, old = inner_graph(place.owner), place.output
        readers = [one.recorded for one in find_consumers(place)]
        _restore_on_undo(old._keras_history.operation._outbound_nodes, undo)
        new = build(old)
        check_block_output(old, new)
        known = {id(one) for call in list_calls(graph) for one in call.outputs}
        calls = trace_back([new], known)
        for call in calls:
            undo.callback(call.operation._inbound_nodes.remove, call.recorded)
        for node in readers:
            _replace_input(node, old, new, undo)
        _rebuild_graph(graph, old, new, undo)
        added = [
            one
            for one in graph._operations
            if any(call.operation is one for call in calls)
        ]
        layers = [one for one in added if isinstance(one, keras.Layer)]
        _track_layers(graph, layers, undo)
        owners = [place.owner]
        for other in _list_graph_models(holders, readers):
            if inner_graph(other) is not graph:
                _rebuild_graph(inner_graph(other), new, new, undo)
                _track_layers(inner_graph(other), layers, undo)
                owners.append(other)
        for owner in owners:
            if isinstance(owner, keras.Sequential):
                _extend_sequential(owner, place.operation, layers, undo)
        done = undo.pop_all()
    return added, done.close


def replace_call(place: GraphNode, new: Any) -> None:
    """Lets the consumers of a call read another tensor; the call drops out.

    Calls and layers that only led to the old tensor leave the model.

    Args:
        place: A call of a Functional model, as `list_calls` yields it.
        new: A tensor of the same shape and dtype: an input of the call, or
            what a call on tensors of the model returned.
    """
    with contextlib.ExitStack() as undo:
        graph, old = inner_graph(place.owner), place.output
        for reader in find_consumers(place):
            _replace_input(reader.recorded, old, new, undo)
        for tensor in place.input_tensors:
            nodes = tensor._keras_history.operation._outbound_nodes
            _restore_on_undo(nodes, undo)
            nodes[:] = [one for one in nodes if one is not place.recorded]
        _rebuild_graph(graph, old, new, undo)
        inside = {id(one) for one in graph._operations}
        held = {id(one) for one in graph._layers}
        for layer in [one for one in graph._layers if id(one) not in inside]:
            graph._tracker.untrack(layer)
            undo.callback(graph._tracker.track, layer)
        added = [
            one
            for one in graph._operations
            if isinstance(one, keras.Layer) and id(one) not in held
        ]
        _track_layers(graph, added, undo)
        undo.pop_all()


def _list_graph_models(holders: Iterable[Any], nodes: list[Any]) -> list[Any]:
    """Lists the graph models among some models that make one of the calls."""
    found = {
        id(layer): layer
        for holder in holders
        for layer in walk_layers(holder)
        if has_graph(layer)
    }
    return [
        one
        for one in found.values()
        if any(
            call.recorded is node for call in list_calls(one) for node in nodes
        )
    ]


def check_block_output(old: Any, new: Any) -> None:
    """Checks that a block returns a tensor of its input's shape and dtype."""
    if not isinstance(new, keras.KerasTensor) or new is old:
        raise ValueError(
            "Argument `block` must be a function that calls layers on a "
            f"tensor and returns the result. Received: {new!r}"
        )
    if new.shape != old.shape or new.dtype != old.dtype:
        raise ValueError(
            "Argument `block` must return a tensor like its input: "
            f"shape {old.shape}, {old.dtype}. "
            f"Received: shape {new.shape}, {new.dtype}"
        )


def _replace_input(
    node: Any, old: Any, new: Any, undo: contextlib.ExitStack
) -> None:
    arguments = node.arguments
    args, kwargs = arguments.convert(lambda one: new if one is old else one)
    undo.callback(setattr, node, "arguments", arguments)
    node.arguments = SymbolicArguments(*args, **kwargs)
    before = old._keras_history.operation._outbound_nodes
    after = new._keras_history.operation._outbound_nodes
    _restore_on_undo(after, undo)
    for _ in range(sum(one is node for one in before)):
        before.remove(node)
        after.append(node)


def _restore_on_undo(items: list[Any], undo: contextlib.ExitStack) -> None:
    undo.callback(items.__setitem__, slice(None), list(items))


def _rebuild_graph(
    graph: Any, old: Any, new: Any, undo: contextlib.ExitStack
) -> None:
    def swap(one: Any) -> Any:
        return new if one is old else one

    outputs = [swap(one) for one in graph._outputs]
    struct = keras.tree.map_structure(swap, graph._outputs_struct)
    values = (outputs, struct, *map_graph(graph._inputs, outputs))
    members = vars(graph)
    for name, value in zip(_GRAPH, values, strict=True):
        undo.callback(_assign, graph, name, members[name])
        _assign(graph, name, value)


def _assign(graph: Any, name: str, value: Any) -> None:
    """Sets an attribute without wrapping or tracking, as Keras does."""
    tracks = getattr(graph, "_self_setattr_tracking", True)
    with DotNotTrackScope():
        if keras.backend.backend() == "tensorflow":
            graph._self_setattr_tracking = False
        setattr(graph, name, value)
        if keras.backend.backend() == "tensorflow":
            graph._self_setattr_tracking = tracks


def _track_layers(
    graph: Any, layers: Sequence[Any], undo: contextlib.ExitStack
) -> None:
    """Tracks the layers, in the order of the graph."""
    _restore_on_undo(graph._layers, undo)
    for layer in layers:
        graph._tracker.track(layer)
        undo.callback(graph._tracker.untrack, layer)
    rank = {id(one): k for k, one in enumerate(graph._operations)}
    graph._layers.sort(key=lambda one: rank.get(id(one), len(rank)))


def _extend_sequential(
    owner: Any,
    operation: Any,
    layers: Sequence[Any],
    undo: contextlib.ExitStack,
) -> None:
    """Adds the layers to the layer list of a Sequential model."""
    held = list(owner._layers)
    where = next(k for k, one in enumerate(held) if one is operation)
    undo.callback(setattr, owner, "_layers", held)
    owner._layers = held[: where + 1] + list(layers) + held[where + 1 :]
    for layer in layers:
        undo.callback(owner._tracker.untrack, layer)
