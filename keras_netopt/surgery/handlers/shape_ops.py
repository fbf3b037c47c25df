"""Ops of `keras.ops` that permute, remove or add axes."""

from typing import Any

import numpy as np

from keras_netopt.surgery.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles_ops
from keras_netopt.surgery.handlers.handler_tools import (
    copy_channel_axes,
    move_channel_axes,
    single_input,
)
from keras_netopt.surgery.handlers.reshaping import trace_permutation


@handles_ops(
    *("Mean", "Max", "Sum", "Min", "Amax", "Amin", "Prod", "Std", "Var"),
    *("Any", "All"),
)
class ReduceHandler(Handler):
    """Reduces axes without channels.

    `any` and `all` over channels that are all equal do not depend on the
    number of channels; Keras merges the masks of concatenated tensors so.
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        rank = len(tensor.shape)
        axis = layer.axis
        over = range(rank) if axis is None else axis
        over = [over] if isinstance(over, int) else list(over)
        over = [one % rank for one in over]
        axes = graph.channel_axes(tensor)
        logical = type(layer).__name__ in ("Any", "All")
        if logical and graph.is_uniform(tensor):
            axes = {k: ids for k, ids in axes.items() if k not in over}
        if set(over) & set(axes):
            raise UnsupportedLayer("reduces over channels")
        kept = [k for k in range(rank) if layer.keepdims or k not in over]
        labels = {kept.index(axis): ids for axis, ids in axes.items()}
        move_channel_axes(graph, tensor, node.outputs[0], labels)


@handles_ops("Transpose")
class TransposeHandler(Handler):
    """Changes the order of the axes."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        rank = len(single_input(graph, node).shape)
        order = layer.axes or tuple(reversed(range(rank)))
        trace_permutation(graph, node, tuple(axis % rank for axis in order))


@handles_ops("ExpandDims", "Squeeze")
class UnitAxisHandler(Handler):
    """Adds or removes axes of size 1."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = single_input(graph, node), node.outputs[0]
        longer = max(tensor, output, key=lambda t: len(t.shape))
        rank, axis = len(longer.shape), layer.axis
        if axis is None:
            axis = [k for k, size in enumerate(tensor.shape) if size == 1]
        ones = [axis] if isinstance(axis, int) else list(axis)
        ones = [one % rank for one in ones]
        kept = [k for k in range(rank) if k not in ones]
        labels = {}
        for axis, ids in graph.channel_axes(tensor).items():
            if longer is tensor and axis in ones:
                raise UnsupportedLayer("removes an axis of channels")
            labels[kept.index(axis) if longer is tensor else kept[axis]] = ids
        move_channel_axes(graph, tensor, output, labels)


@handles_ops("GetItem")
class GetItemHandler(Handler):
    """Takes slices of axes without channels."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        args = node.arguments
        key = args.args[1] if len(args.args) > 1 else args.kwargs["key"]
        key = key if isinstance(key, tuple) else (key,)
        free = len(tensor.shape) - sum(
            1 for k in key if k is not None and k is not Ellipsis
        )
        if Ellipsis not in key:
            key = (*key, Ellipsis)
        position = key.index(Ellipsis)
        key = (*key[:position], *[slice(None)] * free, *key[position + 1 :])
        axes, labels = graph.channel_axes(tensor), {}
        old = new = 0
        for part in key:
            if part is None:
                new += 1
                continue
            if old in axes:
                if part != slice(None):
                    raise UnsupportedLayer("takes some of the channels")
                labels[new] = axes[old]
            old, new = old + 1, new + isinstance(part, slice)
        move_channel_axes(graph, tensor, node.outputs[0], labels)


@handles_ops("Pad")
class PadHandler(Handler):
    """Adds entries to axes without channels."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        widths = list(layer.pad_width)
        if len(widths) == 1:
            widths *= len(tensor.shape)
        if any(
            tuple(widths[axis]) != (0, 0) for axis in graph.channel_axes(tensor)
        ):
            raise UnsupportedLayer("pads channels")
        copy_channel_axes(graph, tensor, node.outputs[0])


@handles_ops("Split")
class SplitHandler(Handler):
    """Splits an axis; the parts of a channel axis are coupled."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        axes, axis = graph.channel_axes(tensor), layer.axis % len(tensor.shape)
        parts = [axes.get(axis)] * len(node.outputs)
        if axis in axes:
            if not isinstance(layer.indices_or_sections, int):
                raise UnsupportedLayer("splits channels at fixed positions")
            parts = np.split(axes[axis], len(node.outputs))
            for part in parts[1:]:
                graph.couple(parts[0], part)
        for output, part in zip(node.outputs, parts, strict=True):
            labels = axes if part is None else {**axes, axis: part}
            graph.set_channel_axes(
                output, labels, reason=graph.fixed_reason(tensor)
            )
