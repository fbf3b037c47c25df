"""Functions that several handlers share."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import UnsupportedLayer


def tensor_inputs(graph: Any, node: Any) -> list[Any]:
    """Returns the input tensors of a call, without its masks."""
    masks = [
        mask
        for name, value in node.arguments.kwargs.items()
        if name == "mask" or name.endswith("_mask")
        for mask in keras.tree.flatten(value)
    ]
    if any(graph.channel_axes(mask) for mask in masks):
        raise UnsupportedLayer("is called with a mask of channels")
    hidden = {id(mask) for mask in masks}
    return [t for t in node.input_tensors if id(t) not in hidden]


def single_input(graph: Any, node: Any) -> Any:
    """Returns the only input tensor of a call."""
    tensors = tensor_inputs(graph, node)
    if len(tensors) != 1:
        raise UnsupportedLayer(f"is called on {len(tensors)} tensors")
    return tensors[0]


def channel_axis(layer: Any) -> int:
    """Returns the channel axis of a layer with a `data_format`."""
    return 1 if layer.data_format == "channels_first" else -1


def last_axis(tensor: Any) -> int:
    """Returns the index of the last axis of a tensor."""
    return len(tensor.shape) - 1


def copy_channel_axes(graph: Any, source: Any, target: Any) -> None:
    """Copies the channels of a tensor to one with the same axes."""
    graph.set_channel_axes(
        target, graph.channel_axes(source), reason=graph.fixed_reason(source)
    )


def move_channel_axes(
    graph: Any, source: Any, target: Any, axes: dict[int, np.ndarray]
) -> None:
    """Sets the channels that a call moves to other axes of its output.

    Without channels, the sizes are fixed for the same reason as in `source`.
    """
    reason = "" if axes else graph.fixed_reason(source)
    graph.set_channel_axes(target, axes, reason=reason)


def replace_channel_axis(
    graph: Any, source: Any, target: Any, axis: int, ids: np.ndarray
) -> None:
    """Copies the channels of a tensor except for one axis."""
    rank = len(source.shape)
    axes = {**graph.channel_axes(source), axis % rank: ids}
    graph.set_channel_axes(
        target, axes, reason="has a size that the model fixes"
    )


def protect_axes(
    graph: Any, layer: Any, tensor: Any, axes: Iterable[int], reason: str
) -> dict[int, np.ndarray]:
    """Protects the channels on some axes; returns those on the others."""
    labels = graph.channel_axes(tensor)
    for axis in {axis % len(tensor.shape) for axis in axes} & set(labels):
        graph.protect(labels.pop(axis), graph.refusal(layer, reason))
    return labels


def given_axes(axis: Any, rank: int) -> list[int]:
    """Returns the axes of an argument `axis`; `None` means all."""
    if axis is None:
        return list(range(rank))
    many = [axis] if isinstance(axis, int) else list(axis)
    return [one % rank for one in many]


def update_input_spec(layer: Any, sizes: Mapping[int, int]) -> None:
    """Updates the sizes of axes in the input spec of a layer."""
    old = layer.input_spec
    new = {axis: sizes.get(axis, size) for axis, size in old.axes.items()}
    layer.input_spec = keras.InputSpec(
        ndim=old.ndim,
        max_ndim=old.max_ndim,
        min_ndim=old.min_ndim,
        axes=new,
        allow_last_axis_squeeze=old.allow_last_axis_squeeze,
    )
