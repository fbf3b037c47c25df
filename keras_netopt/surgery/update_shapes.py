"""Updates layer attributes and tensor shapes after an edit."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.graph.model_graph import (
    graph_inputs,
    graph_outputs,
    is_graph_model,
)
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.graph.resize import (
    resize_input,
    resize_tensor,
    update_build_shapes,
)
from keras_netopt.graph.symbolic import accepted_arguments
from keras_netopt.surgery.handler_registry import find_handler

Shapes = Mapping[int, tuple[int | None, ...]]


def update_model_shapes(model: Any, known: Shapes | None = None) -> None:
    """Updates the calls inside a model, in execution order.

    `known` are the shapes of the outputs of opened layers, by `id`. A
    subclassed model has no calls outside of opened layers.
    """
    if not is_graph_model(model):
        return
    for node in list_calls(model):
        if not node.is_input:
            update_call_shapes(node.operation, node, known)


def update_call_shapes(
    operation: Any, node: Any, known: Shapes | None = None
) -> None:
    """Updates one call: attributes, build shapes, shapes of the outputs."""
    if is_graph_model(operation):
        _update_nested(operation, node, known)
        return
    handler = find_handler(operation)
    if handler is not None:
        handler.update_attributes(operation, node)
    update_build_shapes(operation, node)
    if known and all(id(tensor) in known for tensor in node.outputs):
        for tensor in node.outputs:
            resize_tensor(tensor, known[id(tensor)])
        return
    kwargs = accepted_arguments(operation, node.kwargs)
    spec = operation.compute_output_spec(*node.args, **kwargs)
    new = keras.tree.flatten(spec)
    for tensor, like in zip(node.outputs, new, strict=True):
        resize_tensor(tensor, like.shape)


def _update_nested(model: Any, node: Any, known: Shapes | None) -> None:
    given = keras.tree.flatten(node.arguments.args[:1])
    for inside, outside in zip(graph_inputs(model), given, strict=True):
        resize_input(model, inside, outside.shape)
    update_build_shapes(model, node)
    update_model_shapes(model, known)
    for inside, outside in zip(graph_outputs(model), node.outputs, strict=True):
        resize_tensor(outside, inside.shape)
