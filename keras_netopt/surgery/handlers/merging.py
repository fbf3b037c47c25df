"""Merging layers and ops of two operands, concatenation among them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.graph.units import Unsupported
from keras_netopt.surgery.handlers.common import inputs_of
from keras_netopt.surgery.handlers.registry import (
    Handler,
    handles,
    handles_ops,
)

L = keras.layers


def merge(graph: Any, tensors: Sequence[Any], output: Any) -> None:
    """Ties the channels of tensors that are joined entry by entry.

    A tensor with one entry along an axis is broadcast: where that entry is a
    channel it is protected, and the labels of the others pass.
    """
    rank = len(output.shape)
    why = next((graph.why(t) for t in tensors if not graph.axes(t)), "")
    labels = {}
    for axis in range(rank):
        places = [(t, axis - rank + len(t.shape)) for t in tensors]
        places = [(t, place) for t, place in places if place >= 0]
        if not any(place in graph.axes(t) for t, place in places):
            continue
        one = [p for p in places if p[0].shape[p[1]] == 1]
        many = [p for p in places if p[0].shape[p[1]] != 1]
        for tensor, place in one if many else []:
            if place in graph.axes(tensor):
                ids = graph.axes(tensor)[place]
                graph.protect(ids, "is a single channel that is broadcast")
        found = [p for p in many or one if p[1] in graph.axes(p[0])]
        if found:
            labels[axis] = _tie(graph, many or one)
    graph.set_axes(output, labels, why=why)
    _pass_flat(graph, tensors, output)


def _pass_flat(graph: Any, tensors: Sequence[Any], output: Any) -> None:
    if all(graph.is_flat(t) for t in tensors if graph.axes(t)):
        graph.mark_flat(output)


def _tie(graph: Any, places: Sequence[tuple[Any, int]]) -> np.ndarray:
    found = [graph.channels(t, axis, alone=False) for t, axis in places]
    for ids in found[1:]:
        graph.unite(found[0], ids)
    return found[0]


@handles(L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum)
class MergeHandler(Handler):
    """Joins tensors entry by entry."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        merge(graph, inputs_of(graph, node), node.outputs[0])


@handles_ops(
    *("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Divide"),
    *("TrueDivide", "Power", "Where", "LogicalAnd", "LogicalOr", "Equal"),
    *("NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual"),
)
class MergeOpHandler(Handler):
    """Joins tensors entry by entry, numbers and other constants too."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        given = node.arguments.args, node.arguments.kwargs
        for leaf in keras.tree.flatten(given):
            if isinstance(leaf, keras.KerasTensor) or not hasattr(
                leaf, "shape"
            ):
                continue
            if np.prod(tuple(leaf.shape)) != 1:
                raise Unsupported(
                    f"combines it with a constant of shape {tuple(leaf.shape)}"
                )
        merge(graph, inputs_of(graph, node), node.outputs[0])


@handles(L.Concatenate)
@handles_ops("Concatenate")
class ConcatenateHandler(Handler):
    """Puts channels side by side, or joins them along another axis."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensors, output = inputs_of(graph, node), node.outputs[0]
        place = layer.axis % len(output.shape)
        axes = {axis for t in tensors for axis in graph.axes(t)}
        labels = {}
        for axis in axes:
            if axis == place:
                parts = [graph.channels(t, axis, alone=False) for t in tensors]
                labels[axis] = np.concatenate(parts)
            else:
                labels[axis] = _tie(graph, [(t, axis) for t in tensors])
        why = graph.why(tensors[0]) if not axes else ""
        graph.set_axes(output, labels, why=why)
        _pass_flat(graph, tensors, output)
