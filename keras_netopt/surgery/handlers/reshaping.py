"""Flatten, Reshape, Permute and RepeatVector.

Private name of Keras 3.15: `Operation._auto_config`.
"""

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
    single_input,
)
from keras_netopt.surgery.handlers.reshaped_axis import (
    ReshapedAxis,
    follow_reshape,
)

L = keras.layers


def trace_reshape(
    graph: Any, name: str, tensor: Any, output: Any
) -> dict[int, ReshapedAxis]:
    """Sets the channels of the output of a reshape; returns its axes."""
    reshaped: dict[int, ReshapedAxis] = {}
    for axis, ids in graph.channel_axes(tensor).items():
        move = follow_reshape(tensor.shape, output.shape, axis, ids)
        taken = {m.axis for m in reshaped.values()}
        if move is None or move.axis in taken:
            raise UnsupportedLayer(
                "reshapes channels in a way that is not supported"
            )
        for row in move.coupled[1:]:
            graph.couple(move.ids, row)
        if not move.keeps_copies_adjacent:
            graph.mark_not_replicable(ids, f"is interleaved by '{name}'")
        reshaped[axis] = move
    labels = {move.axis: move.ids for move in reshaped.values()}
    move_channel_axes(graph, tensor, output, labels)
    return reshaped


@handles(L.Flatten)
class FlattenHandler(Handler):
    """Repeats the channels for every position."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        if layer.data_format == "channels_first" and len(tensor.shape) > 2:
            self._channels_first(graph, tensor, node.outputs[0])
        else:
            trace_reshape(graph, layer.name, tensor, node.outputs[0])

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
        self._reshaped: WeakKeyDictionary[Any, list[ReshapedAxis]] = (
            WeakKeyDictionary()
        )

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = single_input(graph, node), node.outputs[0]
        reshaped = list(
            trace_reshape(graph, layer.name, tensor, output).values()
        )
        self._reshaped[layer] = reshaped
        for move in reshaped:
            if self.shape(layer)[move.axis] != -1:
                graph.couple_calls(layer, f"axis {move.axis}", move.ids)

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
