"""The graph of calls inside a Functional or Sequential model.

Private names of Keras 3.15: `Functional` with `_nodes_by_depth`, `_inputs`,
`_outputs`, `_outputs_struct`, `_run_through_graph` and `_standardize_inputs`,
`Sequential._functional`, `KerasTensor._keras_history`, `_keras_mask`,
`keras.src.backend.common.masking.get_keras_mask`.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import Operation
from keras.src.backend.common.masking import get_keras_mask
from keras.src.models.functional import Functional

from keras_netopt.graph.graph_node import Args, Kwargs

GRAPH_MODELS = (Functional, keras.Sequential)
Call = Callable[[Any, Args, Kwargs], Any]


def is_container(operation: Operation) -> bool:
    """Returns whether an operation is a model."""
    return isinstance(operation, keras.Model)


def is_graph_model(operation: Operation) -> bool:
    """Returns whether an operation is a Functional or Sequential model.

    A model class that overrides `call` is neither.
    """
    calls = [model.call for model in GRAPH_MODELS]
    return getattr(type(operation), "call", None) in calls


def inner_graph(model: Any) -> Any:
    """Returns the Functional graph of a Functional or Sequential model."""
    return getattr(model, "_functional", None) or model


def as_graph(model: Any) -> Any:
    """Returns the graph of a Functional or a built Sequential model."""
    graph = model
    if isinstance(model, keras.Sequential):
        graph = model._functional
    if not isinstance(graph, Functional):
        raise TypeError(
            "Argument `model` must be a Functional or a built Sequential "
            f"model. Received: model={model!r} of type {type(model).__name__}"
        )
    return graph


def has_graph(model: Any) -> bool:
    """Returns whether a model has a graph of calls already."""
    return hasattr(inner_graph(model), "_nodes_by_depth")


def graph_inputs(model: Any) -> list[Any]:
    """Returns the flat symbolic inputs of a Functional or Sequential model."""
    return list(inner_graph(model)._inputs)


def graph_outputs(model: Any) -> list[Any]:
    """Returns the flat symbolic outputs of a Functional or Sequential model."""
    return list(inner_graph(model)._outputs)


def output_structure(graph: Any) -> Any:
    """Returns the structure of symbolic outputs of a graph.

    The graph is a Functional model or a `keras.Function`.
    """
    return graph._outputs_struct


def run_graph(graph: Any, inputs: list[Any], call: Call) -> Any:
    """Runs the calls of a graph on other tensors, in order of execution.

    Args:
        graph: A Functional model or a `keras.Function`.
        inputs: The flat tensors, in the order of its inputs.
        call: `callable(operation, args, kwargs)` that returns the outputs of
            one call.

    Returns:
        The structure of the outputs.
    """

    def bound(operation: Any) -> Callable[..., Any]:
        return lambda *args, **kwargs: call(operation, args, kwargs)

    return graph._run_through_graph(inputs, operation_fn=bound)


def standardize_inputs(graph: Any, inputs: Any) -> list[Any]:
    """Returns a structure of inputs as the flat list of `run_graph`."""
    flat: list[Any] = graph._standardize_inputs(inputs)
    return flat


def producer(tensor: Any) -> Operation:
    """Returns the layer or op that makes a symbolic tensor."""
    operation: Operation = tensor._keras_history.operation
    return operation


def has_mask(tensor: Any) -> bool:
    """Returns whether a symbolic tensor carries a mask."""
    return getattr(tensor, "_keras_mask", None) is not None


def mask_of(tensor: Any) -> Any:
    """Returns the mask that a tensor with values carries, or `None`."""
    return get_keras_mask(tensor)


def set_mask(tensor: Any, mask: Any) -> None:
    """Gives a tensor of TensorFlow the mask that layers of tf_keras read."""
    tensor._keras_mask = mask
