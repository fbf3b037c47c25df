"""Merging layers, ops of two operands, and concatenation."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.handler_registry import (
    Handler,
    handles,
    handles_ops,
)
from keras_netopt.surgery.handlers.constants import (
    constant_shape,
    constant_shapes,
    protect_constant,
)
from keras_netopt.surgery.handlers.handler_tools import tensor_inputs

L = keras.layers
BINARY = (
    "Add Arctan2 BinaryCrossentropy BitwiseAnd BitwiseLeftShift BitwiseOr "
    "BitwiseRightShift "
    "BitwiseXor Divide DivideNoNan Equal FloorDivide Fmax Fmin Fmod Gcd "
    "Greater GreaterEqual Heaviside Hypot Isclose Lcm Ldexp LeftShift Less "
    "LessEqual Logaddexp Logaddexp2 LogicalAnd LogicalOr LogicalXor Maximum "
    "Minimum Mod Multiply Nextafter NotEqual Power RightShift Subtract "
    "TrueDivide"
).split()


def couple_operands(graph: Any, tensors: Sequence[Any], output: Any) -> None:
    """Couples the channels of the operands of an elementwise op.

    A tensor with one entry along an axis is broadcast: a channel there is
    protected, and the output has the channels of the other tensors.
    """
    rank = len(output.shape)
    reason = next(
        (graph.fixed_reason(t) for t in tensors if not graph.channel_axes(t)),
        "",
    )
    labels = {}
    for axis in range(rank):
        positions = [(t, axis - rank + len(t.shape)) for t in tensors]
        positions = [
            (t, position) for t, position in positions if position >= 0
        ]
        if not any(
            position in graph.channel_axes(t) for t, position in positions
        ):
            continue
        one = [p for p in positions if p[0].shape[p[1]] == 1]
        many = [p for p in positions if p[0].shape[p[1]] != 1]
        for tensor, position in one if output.shape[axis] != 1 else []:
            if position in graph.channel_axes(tensor):
                ids = graph.channel_axes(tensor)[position]
                graph.protect(ids, "is a single channel that is broadcast")
        found = [p for p in many or one if p[1] in graph.channel_axes(p[0])]
        if found and (many or output.shape[axis] == 1):
            labels[axis] = couple_along(graph, many or one)
    graph.set_channel_axes(output, labels, reason=reason)
    _pass_uniform(graph, tensors, output)


def _pass_uniform(graph: Any, tensors: Sequence[Any], output: Any) -> None:
    if all(graph.is_uniform(t) for t in tensors if graph.channel_axes(t)):
        graph.mark_uniform(output)


def couple_along(
    graph: Any, positions: Sequence[tuple[Any, int]]
) -> np.ndarray:
    """Couples the channels on one axis of each tensor; returns them."""
    found = [graph.channels(t, axis, alone=False) for t, axis in positions]
    for ids in found[1:]:
        graph.couple(found[0], ids)
    return found[0] if len(found) == 1 else found[0].copy()


@handles(L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum)
class MergeHandler(Handler):
    """Merges tensors elementwise."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        couple_operands(graph, tensor_inputs(graph, node), node.outputs[0])


@handles_ops(*BINARY, "Where")
class MergeOpHandler(Handler):
    """Merges tensors elementwise, also with constants.

    A constant fixes the axes for which it has several entries.
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensors, output = tensor_inputs(graph, node), node.outputs[0]
        couple_operands(graph, tensors, output)
        for shape in constant_shapes(node, inside=graph.inside):
            protect_constant(graph, output, shape)
        if graph.inside:
            _add_free_axes(graph, node, tensors, output)


def _add_free_axes(
    graph: Any, node: Any, tensors: Sequence[Any], output: Any
) -> None:
    """Gives units to axes that a constant of equal entries broadcasts.

    Inside an opened layer its code makes the constant in the new size.
    """
    labels, rank = graph.channel_axes(output), len(output.shape)
    added = {}
    whole = constant_shapes(node)
    for shape, varying in zip(
        whole, constant_shapes(node, inside=1), strict=True
    ):
        for axis in range(rank - len(shape), rank):
            size = shape[axis - rank + len(shape)]
            others = [
                t.shape[axis - rank]
                for t in tensors
                if len(t.shape) >= rank - axis
            ]
            if size > 1 == varying[axis - rank + len(shape)] and all(
                other == 1 for other in others
            ):
                ids = graph.allocate_ids(("made", id(output), axis), size)
                graph.axis_choices.mark_optional(ids)
                added[axis] = ids
    if added:
        reason = graph.fixed_reason(output)
        graph.set_channel_axes(output, {**labels, **added}, reason=reason)


def _units(graph: Any, part: Any, axis: int) -> np.ndarray:
    shape = constant_shape(part)
    if shape is None:
        return graph.channels(part, axis, alone=False)
    reason = f"meets a constant of shape {shape}"
    return graph.fixed_units(shape[axis], reason)


@handles(L.Concatenate)
@handles_ops("Concatenate")
class ConcatenateHandler(Handler):
    """Concatenates channels, or couples those of another axis."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensors, output = tensor_inputs(graph, node), node.outputs[0]
        position = layer.axis % len(output.shape)
        parts = keras.tree.flatten(tuple(node.arguments.args[:1]))
        parts = parts or keras.tree.flatten(node.arguments.kwargs)
        axes = {axis for t in tensors for axis in graph.channel_axes(t)}
        labels = {}
        for axis in axes:
            if axis == position:
                labels[axis] = np.concatenate(
                    [_units(graph, part, axis) for part in parts]
                )
            else:
                labels[axis] = couple_along(graph, [(t, axis) for t in tensors])
                for part in parts:
                    shape = constant_shape(part)
                    if shape is not None and shape[axis] != 1:
                        graph.protect(
                            labels[axis], f"meets a constant of shape {shape}"
                        )
        reason = graph.fixed_reason(tensors[0]) if not axes else ""
        graph.set_channel_axes(output, labels, reason=reason)
        _pass_uniform(graph, tensors, output)
