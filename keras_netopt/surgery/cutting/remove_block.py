"""Removes a residual block: the inverse of `deepen`."""

from typing import Any

import keras

from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.graph.residuals import find_residuals


def list_blocks(model: keras.Model) -> list[str]:
    """Lists the residual blocks that `remove_block` can remove.

    They are named by their sum, in a Sequential model by the nested model
    that is the block. The blocks of nested models are not listed.
    """
    if not is_graph_model(model):
        return []
    if isinstance(model, keras.Sequential):
        return [one.name for one in model.layers if _is_block(one)]
    return [one.operation.name for one in find_residuals(model)]


def remove_block(model: keras.Model, name: str) -> keras.Model:
    """Returns a model without a residual block x + F(x): only x is left.

    This is exact where F(x) is zero. The new model shares the layers of the
    old one and is not compiled; of the class of a Functional subclass if that
    takes inputs and outputs.

    Args:
        model: A Functional or Sequential model that is not compiled.
        name: One of `list_blocks(model)`.

    Returns:
        The new model.

    Raises:
        ValueError: If the model has no such block.
    """
    if name not in list_blocks(model):
        raise ValueError(
            "Argument `name` must name the sum of a residual block, one of "
            f"{list_blocks(model)}. Received: name={name!r}"
        )
    if isinstance(model, keras.Sequential):
        kept = [one for one in model.layers if one.name != name]
        source = keras.Input(
            batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype
        )
        return keras.Sequential([source, *kept], name=model.name)
    block = next(b for b in find_residuals(model) if b.operation.name == name)

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if operation is not block.operation:
            return operation(*args, **kwargs)
        return keras.tree.flatten((args, kwargs))[block.position]

    return keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=call
    )


def _is_block(layer: Any) -> bool:
    """Whether a layer is a nested model that computes x + F(x)."""
    if not is_graph_model(layer) or isinstance(layer, keras.Sequential):
        return False
    if len(layer.inputs) != 1 or len(layer.outputs) != 1:
        return False
    (source,), (target,) = layer.inputs, layer.outputs
    return any(
        block.shortcut is source and block.operation.output is target
        for block in find_residuals(layer)
    )
