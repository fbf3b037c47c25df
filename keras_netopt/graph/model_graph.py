"""The graph of calls inside a Functional or Sequential model.

Private names of Keras 3.15: `Functional` with `_nodes_by_depth`, `_inputs` and
`_outputs`, `Sequential._functional`, `KerasTensor._keras_history`,
`_keras_mask`.
"""

from typing import Any

import keras
from keras import Operation
from keras.src.models.functional import Functional

GRAPH_MODELS = (Functional, keras.Sequential)


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


def has_graph(model: Any) -> bool:
    """Returns whether a model has a graph of calls already."""
    return hasattr(inner_graph(model), "_nodes_by_depth")


def graph_inputs(model: Any) -> list[Any]:
    """Returns the flat symbolic inputs of a Functional or Sequential model."""
    return list(inner_graph(model)._inputs)


def graph_outputs(model: Any) -> list[Any]:
    """Returns the flat symbolic outputs of a Functional or Sequential model."""
    return list(inner_graph(model)._outputs)


def producer(tensor: Any) -> Operation:
    """Returns the layer or op that makes a symbolic tensor."""
    operation: Operation = tensor._keras_history.operation
    return operation


def has_mask(tensor: Any) -> bool:
    """Returns whether a symbolic tensor carries a mask."""
    return getattr(tensor, "_keras_mask", None) is not None
