"""Updates layer attributes and tensor shapes after an edit."""

from typing import Any

import keras

from keras_netopt.graph.model_graph import (
    graph_inputs,
    graph_outputs,
    is_graph_model,
    ordered_nodes,
)
from keras_netopt.graph.resize import (
    resize_input,
    resize_tensor,
    update_build_shapes,
)
from keras_netopt.surgery.handler_registry import find_handler


def update_model_shapes(model: Any) -> None:
    """Updates the calls inside a model, in execution order."""
    for node in ordered_nodes(model):
        if not node.is_input:
            update_call_shapes(node.operation, node)


def update_call_shapes(operation: Any, node: Any) -> None:
    """Updates one call: attributes, build shapes, shapes of the outputs."""
    if is_graph_model(operation):
        _update_nested(operation, node)
        return
    handler = find_handler(operation)
    if handler is not None:
        handler.update_attributes(operation, node)
    update_build_shapes(operation, node)
    given = node.arguments
    spec = operation.compute_output_spec(*given.args, **given.kwargs)
    new = keras.tree.flatten(spec)
    for tensor, like in zip(node.outputs, new, strict=True):
        resize_tensor(tensor, like.shape)


def _update_nested(model: Any, node: Any) -> None:
    given = keras.tree.flatten(node.arguments.args[:1])
    for inside, outside in zip(graph_inputs(model), given, strict=True):
        resize_input(model, inside, outside.shape)
    update_build_shapes(model, node)
    update_model_shapes(model)
    for inside, outside in zip(graph_outputs(model), node.outputs, strict=True):
        resize_tensor(outside, inside.shape)
