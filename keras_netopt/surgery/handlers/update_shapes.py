"""Updates layer attributes and tensor shapes after an edit.

Private names of Keras 3.15: `KerasTensor._shape`, `_keras_history`,
`InputLayer._batch_shape`, `Layer._build_shapes_dict`, `Functional._inputs`,
`_outputs`, `Sequential._layers`.
"""

import inspect
from typing import Any

import keras

from keras_netopt.surgery.graph.layer_paths import inner_graph, ordered_nodes
from keras_netopt.surgery.handlers.registry import find_handler
from keras_netopt.training.graph import is_graph_model


def update_model_shapes(model: Any) -> None:
    """Updates the calls inside a model, in execution order."""
    for node in ordered_nodes(inner_graph(model)):
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
    _write_build_shapes(operation, node)
    given = node.arguments
    spec = operation.compute_output_spec(*given.args, **given.kwargs)
    new = keras.tree.flatten(spec)
    for tensor, like in zip(node.outputs, new, strict=True):
        _reshape(tensor, like.shape)


def _update_nested(model: Any, node: Any) -> None:
    inner = inner_graph(model)
    given = keras.tree.flatten(node.arguments.args[:1])
    for inside, outside in zip(inner._inputs, given, strict=True):
        shape = _new_sizes(inside.shape, outside.shape)
        inside._shape = shape
        inside._keras_history.operation._batch_shape = shape
        for layer in model._layers[:1]:
            if isinstance(layer, keras.layers.InputLayer):
                layer._batch_shape = shape
                layer.output._shape = shape
    _write_build_shapes(model, node)
    update_model_shapes(model)
    for inside, outside in zip(inner._outputs, node.outputs, strict=True):
        _reshape(outside, inside.shape)


def _reshape(tensor: Any, shape: Any) -> None:
    same_rank = len(tensor.shape) == len(shape)
    tensor._shape = (
        _new_sizes(tensor.shape, shape) if same_rank else tuple(shape)
    )


def _new_sizes(old: Any, new: Any) -> tuple[int | None, ...]:
    """Returns the new sizes; an axis of size `None` keeps it."""
    return tuple(
        o if o is None or n is None else n
        for o, n in zip(old, new, strict=True)
    )


def _write_build_shapes(operation: Any, node: Any) -> None:
    shapes = getattr(operation, "_build_shapes_dict", None)
    if not shapes:
        return
    if len(shapes) == 1:
        given = node.arguments
        first = [*given.args, *given.kwargs.values()][0]
        found = {next(iter(shapes)): first}
    else:
        bound = inspect.signature(operation.call).bind(
            *node.arguments.args, **node.arguments.kwargs
        )
        found = {f"{name}_shape": v for name, v in bound.arguments.items()}
    for name, old in shapes.items():
        if old is not None and found.get(name) is not None:
            operation._build_shapes_dict[name] = _merge(old, found[name])


def _merge(old: Any, given: Any) -> Any:
    """Returns the build shapes of a layer with the new sizes."""
    if isinstance(given, dict):
        return {name: _merge(old[name], given[name]) for name in given}
    if isinstance(given, (list, tuple)):
        return [_merge(o, g) for o, g in zip(old, given, strict=True)]
    return _new_sizes(old, given.shape)
