"""Flatten, Reshape, Permute and RepeatVector.

Private name of Keras 3.15: `Operation._auto_config`.
"""

from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from keras_netopt.surgery.graph.units import Unsupported
from keras_netopt.surgery.handlers.common import input_of
from keras_netopt.surgery.handlers.registry import (
    Handler,
    handles,
    handles_ops,
)
from keras_netopt.surgery.handlers.shapes import Move, move_axis

L = keras.layers


def follow(graph: Any, name: str, tensor: Any, output: Any) -> dict[int, Move]:
    """Labels the output of a reshape; returns the move of each axis."""
    moves: dict[int, Move] = {}
    for axis, ids in graph.axes(tensor).items():
        move = move_axis(tensor.shape, output.shape, axis, ids)
        taken = {m.axis for m in moves.values()}
        if move is None or move.axis in taken:
            raise Unsupported("moves channels to where they cannot be followed")
        for row in move.united[1:]:
            graph.unite(move.ids, row)
        if not move.commutes:
            graph.mark_rigid(ids, f"is spread out by '{name}'")
        moves[axis] = move
    labels = {move.axis: move.ids for move in moves.values()}
    why = "" if labels else graph.why(tensor)
    graph.set_axes(output, labels, why=why)
    return moves


@handles(L.Flatten)
class FlattenHandler(Handler):
    """Repeats the channels for every position."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        if layer.data_format == "channels_first" and len(tensor.shape) > 2:
            self._channels_first(graph, tensor, node.outputs[0])
        else:
            follow(graph, layer.name, tensor, node.outputs[0])

    def _channels_first(self, graph: Any, tensor: Any, output: Any) -> None:
        axes = graph.axes(tensor)
        if not axes:
            graph.set_axes(output, {}, why=graph.why(tensor))
            return
        ids = graph.channels(tensor, 1)
        graph.set_label(output, 1, np.tile(ids, prod(tensor.shape[2:])))


class _Shaped(Handler):
    """A reshape to a shape that is written down."""

    def __init__(self) -> None:
        self._moves: WeakKeyDictionary[Any, list[Move]] = WeakKeyDictionary()

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = input_of(graph, node), node.outputs[0]
        moves = list(follow(graph, layer.name, tensor, output).values())
        self._moves[layer] = moves
        for move in moves:
            if self.shape(layer)[move.axis] != -1:
                graph.tie(layer, f"axis {move.axis}", move.ids)

    def sync(self, layer: Any, node: Any) -> None:
        shape = list(self.shape(layer))
        inputs, outputs = node.input_tensors[0].shape, node.outputs[0].shape
        for move in self._moves.get(layer, ()):
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
class ReshapeHandler(_Shaped):
    """The layer; its shape leaves the batch out."""

    def shape(self, layer: Any) -> tuple[int, ...]:
        return (-1, *layer.target_shape)

    def write(self, layer: Any, shape: tuple[int, ...]) -> None:
        layer.target_shape = shape[1:]


@handles_ops("Reshape")
class ReshapeOpHandler(_Shaped):
    """The op; its shape begins with the batch."""

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

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        permute(graph, node, (0, *layer.dims))


def permute(graph: Any, node: Any, order: tuple[int, ...]) -> None:
    """Labels the output of a transposition."""
    tensor = input_of(graph, node)
    axes = graph.axes(tensor)
    labels = {order.index(axis): ids for axis, ids in axes.items()}
    why = "" if labels else graph.why(tensor)
    graph.set_axes(node.outputs[0], labels, why=why)


@handles(L.RepeatVector)
class RepeatVectorHandler(Handler):
    """Puts an axis of equal entries before the last."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        labels = {axis + 1: ids for axis, ids in graph.axes(tensor).items()}
        why = "" if labels else graph.why(tensor)
        graph.set_axes(node.outputs[0], labels, why=why)
