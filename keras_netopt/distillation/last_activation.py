"""Finds the activation that makes each output of a model."""

from typing import Any

import keras

from keras_netopt.graph.model_graph import (
    graph_outputs,
    has_graph,
    is_graph_model,
)
from keras_netopt.graph.recorded_calls import list_calls

# Classes of layers and ops that hand their first input on.
_PASSING = (
    "Reshape",
    "Flatten",
    "Permute",
    "Transpose",
    "Squeeze",
    "Dropout",
    "Identity",
    "Cast",
    "Masking",
    "Cropping1D",
    "Cropping2D",
    "GetItem",
)
_KNOWN = ("linear", "softmax", "sigmoid", "log_softmax")


def find_activations(model: Any) -> list[str]:
    """Returns the last activation of each output, in flat order.

    Example:

    >>> import keras
    >>> dense = keras.layers.Dense(3, activation="softmax")
    >>> find_activations(keras.Sequential([keras.Input((2,)), dense]))
    ['softmax']

    Returns:
        "linear", "softmax", "sigmoid", "log_softmax", or "other" where it is
        not known; an empty list for a model without a graph of layers.
    """
    if not (is_graph_model(model) or has_graph(model)) or not has_graph(model):
        return []
    calls = list(list_calls(model))
    return [_trace(output, calls) for output in graph_outputs(model)]


def _trace(tensor: Any, calls: list[Any]) -> str:
    for call in reversed(calls):
        if not any(tensor is output for output in call.outputs):
            continue
        operation = call.operation
        name = type(operation).__name__
        if is_graph_model(operation) and has_graph(operation):
            place = [output is tensor for output in call.outputs].index(True)
            found = find_activations(operation)[place]
        else:
            found = _name_activation(operation)
        passes = name in _PASSING or (
            name == "Activation" and found == "linear"
        )
        if passes and call.input_tensors:
            return _trace(call.input_tensors[0], calls)
        return found
    return "other"


def _name_activation(operation: Any) -> str:
    if isinstance(operation, keras.layers.TimeDistributed):
        return _name_activation(operation.layer)
    kind = type(operation).__name__
    if kind in ("Softmax", "Sigmoid", "LogSoftmax"):
        return {"LogSoftmax": "log_softmax"}.get(kind, kind.lower())
    function = getattr(operation, "activation", None)
    if function is not None:
        name = getattr(function, "__name__", type(function).__name__.lower())
        return name if name in _KNOWN else "other"
    is_own = type(operation).__module__.startswith("keras.")
    linear = ("Dense", "Conv", "EinsumDense", "Add", "Average", "Rescaling")
    if is_own and (kind in linear or "Pooling" in kind):
        return "linear"
    return "other"
