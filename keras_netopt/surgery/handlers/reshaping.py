"""Flatten, Reshape, Permute and RepeatVector.

Private name of Keras 3.15: `Operation._auto_config`.
"""

from dataclasses import dataclass
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.handler_registry import (
    Handler,
    handles,
    handles_ops,
)
from keras_netopt.surgery.handlers.handler_tools import (
    move_channel_axes,
    protect_axes,
    single_input,
)
from keras_netopt.surgery.handlers.reshaped_axis import (
    block_of,
    follow_reshape,
)

L = keras.layers


@dataclass(frozen=True)
class ReshapedBlock:
    """Axes that a reshape replaces, with channels before and after.

    Args:
        old: The axes before the reshape.
        new: The axes after it.
        labels: The units of the axes after it.
        split: Which of several axes is edited; `None` if `labels` has one.
    """

    old: range
    new: range
    labels: dict[int, np.ndarray]
    split: Any = None

    @property
    def axis(self) -> int:
        """The axis after the reshape whose size an edit changes."""
        if self.split is None or len(self.labels) == 1:
            return next(iter(self.labels))
        return self.new[self.split.kept]


def trace_reshape(
    graph: Any, layer: Any, tensor: Any, output: Any
) -> list[ReshapedBlock]:
    """Sets the channels of the output of a reshape; returns its blocks."""
    axes = graph.channel_axes(tensor)
    blocks: dict[tuple[range, range], list[int]] = {}
    lost = []
    for axis in axes:
        block = block_of(tensor.shape, output.shape, axis)
        if block is None:
            lost.append(axis)
        else:
            blocks.setdefault(block, []).append(axis)
    reason = "reshapes channels in a way that is not supported"
    protect_axes(graph, layer, tensor, lost, reason)
    moved = [
        _follow(graph, layer.name, (tensor, output), block, labelled)
        for block, labelled in blocks.items()
    ]
    labels = {k: ids for one in moved for k, ids in one.labels.items()}
    text = "" if labels else graph.fixed_reason(tensor)
    if lost:
        text = graph.refusal(layer, reason)
    graph.set_channel_axes(output, labels, reason=text)
    return moved


def _follow(
    graph: Any,
    name: str,
    tensors: tuple[Any, Any],
    block: tuple[range, range],
    labelled: list[int],
) -> ReshapedBlock:
    axes = graph.channel_axes(tensors[0])
    (old, new), (before, after) = block, (t.shape for t in tensors)
    sizes = [after[k] for k in new]
    long = [k for k in new if after[k] != 1]
    if len(old) > 1 and (len(labelled) > 1 or len(long) > 1):
        parts = {old.index(k): axes[k] for k in labelled}
        split = graph.axis_choices.join(parts, [before[k] for k in old], name)
        if len(long) == 1:
            return ReshapedBlock(old, new, {long[0]: split.flat}, split)
        ids = split.flat
    elif len(long) == 1 or len(old) > 1:
        return _follow_one(graph, name, tensors, labelled[0])
    else:
        ids = axes[labelled[0]]
    split = graph.axis_choices.split(ids, sizes, name)
    labels = {new[position]: part for position, part in split.parts.items()}
    return ReshapedBlock(old, new, labels, split)


def _follow_one(
    graph: Any, name: str, tensors: tuple[Any, Any], axis: int
) -> ReshapedBlock:
    """Follows the only axis of units of a block to the only one after it."""
    tensor, output = tensors
    ids = graph.channel_axes(tensor)[axis]
    move = follow_reshape(tensor.shape, output.shape, axis, ids)
    if move is None:
        raise UnsupportedLayer("reshapes channels of unknown sizes")
    for row in move.coupled[1:]:
        graph.couple(move.ids, row)
    if not move.keeps_copies_adjacent:
        graph.mark_not_replicable(ids, f"is interleaved by '{name}'")
    return ReshapedBlock(move.old, move.new, {move.axis: move.ids})


@handles(L.Flatten)
class FlattenHandler(Handler):
    """Repeats the channels for every position."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        if layer.data_format == "channels_first" and len(tensor.shape) > 2:
            self._channels_first(graph, tensor, node.outputs[0])
        else:
            trace_reshape(graph, layer, tensor, node.outputs[0])

    def _channels_first(self, graph: Any, tensor: Any, output: Any) -> None:
        axes = graph.channel_axes(tensor)
        if not axes:
            move_channel_axes(graph, tensor, output, {})
            return
        ids = graph.channels(tensor, 1)
        graph.set_channels(output, 1, np.tile(ids, prod(tensor.shape[2:])))


class _StaticReshapeHandler(Handler):
    """A reshape to a fixed shape."""

    def __init__(self) -> None:
        self._reshaped: WeakKeyDictionary[Any, list[ReshapedBlock]] = (
            WeakKeyDictionary()
        )

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = single_input(graph, node), node.outputs[0]
        reshaped = trace_reshape(graph, layer, tensor, output)
        self._reshaped[layer] = reshaped
        for block in reshaped:
            for axis, ids in block.labels.items():
                if self.shape(layer)[axis] != -1:
                    graph.couple_calls(layer, f"axis {axis}", ids)

    def update_attributes(self, layer: Any, node: Any) -> None:
        shape = list(self.shape(layer))
        inputs, outputs = node.input_tensors[0].shape, node.outputs[0].shape
        for move in self._reshaped.get(layer, ()):
            if shape[move.axis] != -1:
                others = [outputs[k] for k in move.new if k != move.axis]
                total = prod(inputs[k] for k in move.old)
                shape[move.axis] = total // prod(others)
        self.write(layer, tuple(shape))

    def shape(self, layer: Any) -> tuple[int, ...]:
        raise NotImplementedError

    def write(self, layer: Any, shape: tuple[int, ...]) -> None:
        raise NotImplementedError


@handles(L.Reshape)
class ReshapeHandler(_StaticReshapeHandler):
    """The layer, whose shape excludes the batch."""

    def shape(self, layer: Any) -> tuple[int, ...]:
        return (-1, *layer.target_shape)

    def write(self, layer: Any, shape: tuple[int, ...]) -> None:
        layer.target_shape = shape[1:]


@handles_ops("Reshape")
class ReshapeOpHandler(_StaticReshapeHandler):
    """The op, whose shape includes the batch."""

    def shape(self, layer: Any) -> tuple[int, ...]:
        shape = layer.newshape
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        return tuple(-1 if size is None else size for size in sizes)

    def write(self, layer: Any, shape: tuple[int, ...]) -> None:
        if shape != self.shape(layer):
            layer.newshape = shape
            layer._auto_config.config["newshape"] = shape


@handles(L.Permute)
class PermuteHandler(Handler):
    """Changes the order of the axes."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        trace_permutation(graph, node, (0, *layer.dims))


def trace_permutation(graph: Any, node: Any, order: tuple[int, ...]) -> None:
    """Sets the channels of the output of a permutation."""
    tensor = single_input(graph, node)
    axes = graph.channel_axes(tensor)
    labels = {order.index(axis): ids for axis, ids in axes.items()}
    move_channel_axes(graph, tensor, node.outputs[0], labels)


@handles(L.RepeatVector)
class RepeatVectorHandler(Handler):
    """Adds an axis of equal entries before the last."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        labels = {
            axis + 1: ids for axis, ids in graph.channel_axes(tensor).items()
        }
        move_channel_axes(graph, tensor, node.outputs[0], labels)
