"""Ops of `keras.ops` that move, add or repeat axes.

Private name of Keras 3.15: `Operation._auto_config`.
"""

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from keras_netopt.surgery.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles_ops
from keras_netopt.surgery.handlers.constants import (
    constant_shapes,
    protect_constant,
)
from keras_netopt.surgery.handlers.handler_tools import (
    given_axes,
    move_channel_axes,
    protect_axes,
    single_input,
    tensor_inputs,
)
from keras_netopt.surgery.handlers.merging import couple_along
from keras_netopt.surgery.handlers.reshaping import trace_permutation


@handles_ops("Transpose")
class TransposeHandler(Handler):
    """Changes the order of the axes."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        rank = len(single_input(graph, node).shape)
        order = layer.axes or tuple(reversed(range(rank)))
        trace_permutation(graph, node, tuple(axis % rank for axis in order))


@handles_ops("Moveaxis")
class MoveaxisHandler(Handler):
    """Moves some axes; the others keep their order."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        rank = len(single_input(graph, node).shape)
        source = given_axes(layer.source, rank)
        target = given_axes(layer.destination, rank)
        order = [axis for axis in range(rank) if axis not in source]
        for position, axis in sorted(zip(target, source, strict=True)):
            order.insert(position, axis)
        trace_permutation(graph, node, tuple(order))


@handles_ops("Swapaxes")
class SwapaxesHandler(Handler):
    """Exchanges two axes."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        rank = len(single_input(graph, node).shape)
        order = list(range(rank))
        one, other = layer.axis1 % rank, layer.axis2 % rank
        order[one], order[other] = other, one
        trace_permutation(graph, node, tuple(order))


@handles_ops("ExpandDims", "Squeeze")
class UnitAxisHandler(Handler):
    """Adds or removes axes of size 1."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = single_input(graph, node), node.outputs[0]
        longer = max(tensor, output, key=lambda t: len(t.shape))
        rank, axis = len(longer.shape), layer.axis
        if axis is None:
            axis = [k for k, size in enumerate(tensor.shape) if size == 1]
        ones = given_axes(axis, rank)
        kept = [k for k in range(rank) if k not in ones]
        labels = {}
        for axis, ids in graph.channel_axes(tensor).items():
            if longer is tensor and axis in ones:
                raise UnsupportedLayer("removes an axis of channels")
            labels[kept.index(axis) if longer is tensor else kept[axis]] = ids
        move_channel_axes(graph, tensor, output, labels)


@handles_ops("Stack")
class StackHandler(Handler):
    """Couples the tensors and adds an axis."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensors, output = tensor_inputs(graph, node), node.outputs[0]
        place = layer.axis % len(output.shape)
        axes = {axis for t in tensors for axis in graph.channel_axes(t)}
        labels = {
            axis + (axis >= place): couple_along(
                graph, [(t, axis) for t in tensors]
            )
            for axis in axes
        }
        move_channel_axes(graph, tensors[0], output, labels)
        for shape in constant_shapes(node):
            shape = (*shape[:place], 1, *shape[place:])
            protect_constant(graph, output, shape)


@handles_ops("Unstack")
class UnstackHandler(Handler):
    """Takes each entry of an axis."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        place = layer.axis % len(tensor.shape)
        reason = "takes each channel alone"
        axes = protect_axes(graph, layer, tensor, [place], reason)
        labels = {axis - (axis > place): ids for axis, ids in axes.items()}
        for output in node.outputs:
            move_channel_axes(graph, tensor, output, labels)


@handles_ops("Flip")
class FlipHandler(Handler):
    """Reverses the order of entries; channels go with it."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, labels = single_input(graph, node), {}
        over = given_axes(layer.axis, len(tensor.shape))
        for axis, ids in graph.channel_axes(tensor).items():
            labels[axis] = ids[::-1] if axis in over else ids
            if axis in over:
                graph.mark_not_replicable(ids, f"is turned by '{layer.name}'")
        move_channel_axes(graph, tensor, node.outputs[0], labels)


@handles_ops("Repeat")
class RepeatHandler(Handler):
    """Repeats each entry; the copies of a channel are coupled to it."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = single_input(graph, node), node.outputs[0]
        labels = graph.channel_axes(tensor)
        if layer.axis is None and labels:
            raise UnsupportedLayer("flattens its input")
        axis = (layer.axis or 0) % len(tensor.shape)
        times = np.asarray(layer.repeats).reshape(-1)
        if axis in labels and len(times) > 1:
            protect_axes(graph, layer, tensor, [axis], "repeats some channels")
            labels[axis] = np.repeat(labels[axis], times)
        elif axis in labels:
            labels[axis] = np.repeat(labels[axis], int(times[0]))
            reason = f"is repeated by '{layer.name}'"
            graph.mark_not_replicable(labels[axis], reason)
        move_channel_axes(graph, tensor, output, labels)


@handles_ops("Tile")
class TileHandler(Handler):
    """Repeats whole axes."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = single_input(graph, node), node.outputs[0]
        rank, labels = len(output.shape), {}
        times = np.asarray(layer.repeats).reshape(-1).tolist()
        times = [1] * (rank - len(times)) + times
        for axis, ids in graph.channel_axes(tensor).items():
            place = axis + rank - len(tensor.shape)
            labels[place] = np.tile(ids, times[place])
        move_channel_axes(graph, tensor, output, labels)


class FullAxesHandler(Handler):
    """An op that holds the sizes of axes that it takes as they are."""

    attribute = "shape"

    def __init__(self) -> None:
        self._full: WeakKeyDictionary[Any, dict[int, int]] = WeakKeyDictionary()

    def note_axes(self, layer: Any, axes: dict[int, int]) -> None:
        """Notes the axis of the input for each axis of `shape`."""
        shape = getattr(layer, self.attribute)
        self._full[layer] = {
            axis: source for axis, source in axes.items() if shape[axis] != -1
        }

    def update_attributes(self, layer: Any, node: Any) -> None:
        shape = list(getattr(layer, self.attribute))
        for axis, source in self._full.get(layer, {}).items():
            shape[axis] = node.input_tensors[0].shape[source]
        write_attribute(layer, self.attribute, tuple(shape))


def write_attribute(operation: Any, name: str, value: Any) -> None:
    """Sets an argument of an op, in its config as well."""
    old = getattr(operation, name)
    if old != value and list(np.ravel(old)) != list(np.ravel(value)):
        setattr(operation, name, value)
        if getattr(operation, "_auto_config", None) is not None:
            config = operation._auto_config.config
            config[name] = type(config[name])(value)


@handles_ops("BroadcastTo")
class BroadcastToHandler(FullAxesHandler):
    """Repeats axes of size 1."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = single_input(graph, node), node.outputs[0]
        more, labels = len(output.shape) - len(tensor.shape), {}
        for axis, ids in graph.channel_axes(tensor).items():
            if len(ids) == output.shape[axis + more]:
                labels[axis + more] = ids
                graph.couple_calls(layer, f"axis {axis + more}", ids)
            else:
                graph.protect(ids, "is a single channel that is broadcast")
        self.note_axes(layer, {axis: axis - more for axis in labels})
        move_channel_axes(graph, tensor, output, labels)


@handles_ops("Pad")
class PadHandler(Handler):
    """Adds entries to axes without channels."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        widths = np.broadcast_to(layer.pad_width, (len(tensor.shape), 2))
        padded = np.flatnonzero(widths.any(axis=1)).tolist()
        graph_axes = protect_axes(graph, layer, tensor, padded, "pads channels")
        move_channel_axes(graph, tensor, node.outputs[0], graph_axes)


@handles_ops("OneHot")
class OneHotHandler(Handler):
    """Adds an axis of classes."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = single_input(graph, node), node.outputs[0]
        place = layer.axis % len(output.shape)
        labels = {
            axis + (axis >= place): ids
            for axis, ids in graph.channel_axes(tensor).items()
        }
        move_channel_axes(graph, tensor, output, labels)
