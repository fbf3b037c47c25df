"""Calls the layers of a model, nested models included, on other tensors."""

from collections.abc import Callable
from typing import Any

import keras
from keras import Operation

from keras_netopt.graph.model_graph import (
    as_graph,
    has_graph,
    is_graph_model,
    run_graph,
    standardize_inputs,
)

Replace = Callable[[Operation], Callable[..., Any]]


def call_flat(
    model: keras.Model,
    inputs: Any,
    *,
    replace: Replace = lambda operation: operation,
) -> Any:
    """Calls every layer of a model on symbolic tensors, one by one.

    Functional and Sequential models inside the model are opened, so that the
    tensors between their layers can be outputs of a new model. A subclassed
    model is opened by a call of its `call`; layers cannot be replaced there.

    Args:
        model: A built model.
        inputs: The structure of its inputs, as `keras.KerasTensor`.
        replace: `callable(operation)` that returns the layer or op to call in
            the place of one. Defaults to the operation itself.

    Returns:
        The outputs of the model.
    """
    if not (is_graph_model(model) and has_graph(model)):
        return model.call(inputs)
    graph = as_graph(model)

    def call(operation: Any, args: Any, kwargs: Any) -> Any:
        if is_graph_model(operation) and has_graph(operation):
            return call_flat(operation, args[0], replace=replace)
        return replace(operation)(*args, **kwargs)

    flat = keras.tree.flatten(inputs)
    if not _has_structure(graph.input, inputs):
        flat = standardize_inputs(graph, inputs)
    return run_graph(graph, flat, call)


def _has_structure(expected: Any, given: Any) -> bool:
    try:
        keras.tree.assert_same_structure(expected, given)
    except (ValueError, TypeError):
        return False
    return True
