"""Checks that masked units stay 0 on their way to the next layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.surgery.channels.channel_graph import ChannelGraph

# Layers without weights that map zeros to zeros.
_SAFE = (
    keras.layers.Add,
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.Identity,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
    keras.layers.Reshape,
    keras.layers.ZeroPadding2D,
)
_SIZE = 4  # Of an axis without one.


def check_zeros(
    graph: ChannelGraph,
    kept: np.ndarray,
    widths: Mapping[int, int],
    parts: Sequence[Sequence[keras.Layer]],
) -> None:
    """Refuses a model whose masked units do not stay 0.

    Args:
        graph: The graph of a model in which masked units are still there.
        kept: Whether each channel group is kept.
        widths: The number of units that are not masked, by `id(layer)`.
        parts: The layers of each elastic layer, in call order.

    Raises:
        ValueError: If a layer after an elastic layer gives another value for
            zeros, or an elastic layer does whose masked units are kept.
    """
    for own in parts:
        core: Any = own[0]
        units = graph.group_of[graph.producers.get(core, np.array([], int))]
        masked = units[widths.get(id(core), len(units)) :]
        activation: Any = getattr(own[-1], "activation", None)
        if kept[masked].any() and _moves_zero(activation):
            raise ValueError(
                f"The masked units of {core.name!r} cannot be removed, and "
                "its activation turns zeros into other values. Use another "
                "activation, as 'relu', or one width. "
                f"Received: activation={activation.__name__!r}"
            )
    inside = {id(layer) for own in parts for layer in own}
    done: set[int] = set()
    for call in graph.calls:
        layer: Any = call.operation
        if (
            not isinstance(layer, keras.Layer)
            or isinstance(layer, (*_SAFE, keras.Model, keras.layers.InputLayer))
            or id(layer) in inside | done
            or len(call.input_tensors) != 1
        ):
            continue
        (tensor,) = call.input_tensors
        for axis, ids in graph.channel_axes(call.outputs[0]).items():
            groups = graph.group_of[ids]
            passed = graph.channel_axes(tensor).get(axis)
            if (
                passed is None
                or not np.isin(groups, graph.group_of[passed]).any()
            ):
                continue  # The layer makes these units itself.
            removed = ~kept[groups]
            if removed.any() and _revives(layer, tensor, axis, removed):
                raise ValueError(_message(layer))
            done.add(id(layer))


def _revives(layer: Any, tensor: Any, axis: int, removed: np.ndarray) -> bool:
    """Whether a layer gives other values than 0 for removed channels."""
    shape = [1, *(size or _SIZE for size in tensor.shape[1:])]
    outputs = layer(ops.zeros(shape, tensor.dtype))
    found = np.array(ops.convert_to_numpy(ops.stop_gradient(outputs)))
    return bool(np.take(found, np.flatnonzero(removed), axis).any())


def _moves_zero(activation: Any) -> bool:
    if activation is None:
        return False
    value = activation(ops.zeros((1, 1)))
    return bool(np.array(ops.convert_to_numpy(value)).any())


def _message(layer: Any) -> str:
    return (
        f"Layer {layer.name!r} turns the zeros of masked units of elastic "
        "layers into other values, so that the network without these units "
        "differs. Pass batch normalization and activations to the elastic "
        "layer as `normalization` and `activation`. "
        f"Received: layer=<{type(layer).__name__} name={layer.name}>"
    )
