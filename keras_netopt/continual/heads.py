"""Finds the weights of the layers that make the outputs of a model."""

from typing import Any

from keras_netopt.graph.model_graph import (
    graph_outputs,
    has_graph,
    is_graph_model,
)
from keras_netopt.graph.recorded_calls import list_calls


def find_heads(model: Any) -> list[Any]:
    """Lists the weights of the last layer with weights before each output.

    Example:

    >>> import keras
    >>> parts = [keras.Input((2,)), keras.layers.Dense(3, name="inside")]
    >>> parts += [keras.layers.Dense(4, name="head"), keras.layers.Softmax()]
    >>> [v.name for v in find_heads(keras.Sequential(parts))]
    ['kernel', 'bias']

    Returns:
        The weights; an empty list for a model without a graph of layers.
    """
    if not has_graph(model):
        return []
    calls = list(list_calls(model))
    found: list[Any] = []
    for output in graph_outputs(model):
        found += _find_head(output, calls)
    return found


def _find_head(tensor: Any, calls: list[Any]) -> list[Any]:
    for call in reversed(calls):
        if not any(tensor is output for output in call.outputs):
            continue
        operation = call.operation
        weights = list(getattr(operation, "weights", ()))
        if weights and is_graph_model(operation):
            return find_heads(operation)
        if weights or not call.input_tensors:
            return weights
        return _find_head(call.input_tensors[0], calls)
    return []
