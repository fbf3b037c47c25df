"""Finds the hidden tensors of a finished model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.layers import walk_paths
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.selectors import select

# Hidden tensors of a model that are found automatically.
MOST = 8
# Layers that only rearrange or drop what an earlier layer computed.
_REARRANGING = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.Dropout,
    keras.layers.InputLayer,
)


def find_hidden(graph: keras.Model, hidden: Any) -> list[Any]:
    """Returns the hidden tensors of a flat Functional model, in order.

    Args:
        graph: A Functional model without nested models.
        hidden: Selector of the layers whose outputs are hidden tensors, or
            `None`: the tensor before each layer with weights, where it is the
            only connection from the layers before to the layers after it.
    """
    calls = [call for call in list_calls(graph) if not call.is_input]
    output = keras.tree.flatten(graph.outputs)[0]
    if hidden is None:
        found = _spread(_find_bottlenecks(calls, output))
    else:
        found = _select_outputs(graph, calls, hidden)
    found = [tensor for tensor in found if tensor is not output]
    if not found:
        raise ValueError(
            "Argument `column` must be a model with a hidden tensor that all "
            "paths from the inputs to the output pass: the head of the next "
            f"task reads it. Received: column={graph.name!r} with the layers "
            f"{[call.operation.name for call in calls]}. Hand over a function "
            "that returns the list of hidden tensors instead."
        )
    _check_last(graph, found[-1])
    return found


def _select_outputs(
    graph: keras.Model, calls: Sequence[GraphNode], hidden: Any
) -> list[Any]:
    paths = {id(layer): path for path, layer in walk_paths(graph)}
    layers = [
        (paths[id(call.operation)], call.operation)
        for call in calls
        if id(call.operation) in paths
    ]
    chosen = select(hidden, layers, graph, "hidden")
    wanted = {id(layers[place][1]) for place in chosen}
    return [call.output for call in calls if id(call.operation) in wanted]


def _find_bottlenecks(calls: Sequence[GraphNode], output: Any) -> list[Any]:
    """The single tensor between each weighted layer and what precedes it."""
    last_use: dict[int, int] = {}
    for number, call in enumerate(calls):
        for tensor in call.input_tensors:
            last_use[id(tensor)] = number
    last_use[id(output)] = len(calls)
    found: list[Any] = []
    latest: Any = None
    open_tensors: set[int] = set()
    has_weights = False
    for number, call in enumerate(calls):
        weighted = bool(getattr(call.operation, "weights", ()))
        has_weights |= weighted
        is_norm = _is_normalization(call.operation)
        if weighted and not is_norm and latest is not None:
            found.append(latest)
            latest = None
        open_tensors |= {
            id(one) for one in call.input_tensors if last_use[id(one)] > number
        }
        open_tensors |= {id(one) for one in call.outputs if id(one) in last_use}
        open_tensors = {one for one in open_tensors if last_use[one] > number}
        is_single = len(call.outputs) == 1 and open_tensors == {id(call.output)}
        if is_single and not isinstance(call.operation, _REARRANGING):
            if has_weights and len(call.output.shape) > 1:
                latest = call.output
    return found


def _spread(tensors: list[Any]) -> list[Any]:
    """Selects up to `MOST`: the last, and the narrowest of each part."""
    if len(tensors) <= MOST:
        return tensors
    parts = np.array_split(np.arange(len(tensors) - 1), MOST - 1)
    chosen = [
        min(reversed(part), key=lambda k: tensors[k].shape[-1] or 0)
        for part in parts
    ]
    return [tensors[k] for k in chosen] + tensors[-1:]


def _is_normalization(operation: Any) -> bool:
    name = type(operation).__name__
    return "Normalization" in name or name.endswith("Norm")


def _check_last(graph: keras.Model, tensor: Any) -> None:
    try:
        keras.Function([tensor], graph.outputs)
    except ValueError as error:
        raise ValueError(
            "The last hidden tensor must be on every path from the inputs to "
            f"the output of `column`, so that a new head can read it. "
            f"Received: hidden tensor {tensor.name!r} of model "
            f"{graph.name!r}. Choose a deeper layer with `hidden`."
        ) from error
