"""Ops that multiply tensors and add up: einsum, matmul, dot, tensordot.

Each axis of an operand has a label: a letter of the equation. Axes with the
same label are coupled.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import IN, OUT, UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles_ops
from keras_netopt.surgery.handlers.constants import constant_shape

Labels = Sequence[Hashable]
Places = list[tuple[Any, int]]


def trace_product(
    graph: Any,
    layer: Any,
    operands: Sequence[Any],
    labels: Sequence[Labels],
    made: Labels,
    output: Any,
) -> None:
    """Couples the channels of the operands and sets those of the output."""
    uses: dict[Hashable, list[tuple[Any, int]]] = {}
    for operand, names in zip(operands, labels, strict=True):
        if _rank(operand) != len(names):
            raise UnsupportedLayer("has operands of another rank")
        for axis, name in enumerate(names):
            uses.setdefault(name, []).append((operand, axis))
    found = {
        name: _couple_label(graph, layer, places, name in made)
        for name, places in uses.items()
    }
    axes = {
        position: ids
        for position, name in enumerate(made)
        if (ids := found.get(name)) is not None
    }
    tensors = [t for t in operands if isinstance(t, keras.KerasTensor)]
    fixed = [t for t in tensors if not graph.channel_axes(t)]
    reason = graph.fixed_reason([*fixed, *tensors][0])
    graph.set_channel_axes(output, axes, reason=reason)


def _couple_label(
    graph: Any, layer: Any, places: Places, is_kept: bool
) -> np.ndarray | None:
    """Couples the axes of one label; returns its units if it has some."""
    axes = [(t, k) for t, k in places if isinstance(t, keras.KerasTensor)]
    if not any(k in graph.channel_axes(t) for t, k in axes):
        return None
    many = [(t, k) for t, k in axes if t.shape[k] != 1]
    for tensor, axis in axes:
        ids = graph.channel_axes(tensor).get(axis)
        if many and tensor.shape[axis] == 1 and ids is not None:
            graph.protect(ids, "is a single channel that is broadcast")
    found = [graph.channels(t, k, alone=False) for t, k in many or axes]
    for ids in found[1:]:
        graph.couple(found[0], ids)
    for constant, axis in places:
        shape = constant_shape(constant)
        if shape is not None and shape[axis] != 1:
            graph.protect(found[0], f"meets a constant of shape {shape}")
    _set_roles(graph, layer, many or axes, found[0], is_kept)
    return found[0].copy()  # Not the units of a variable any more.


def _set_roles(
    graph: Any, layer: Any, places: Places, ids: np.ndarray, is_kept: bool
) -> None:
    weights = [(t, k) for t, k in places if graph.is_variable(t, k)]
    others = [place for place in places if place not in weights]
    if is_kept:
        if len(places) == 1:
            graph.set_role(*places[0], OUT)
        elif len(others) > 1:
            graph.axis_choices.mark_heads(ids)
    elif len(places) == 1:
        graph.protect(ids, graph.refusal(layer, "adds its channels up"))
    elif len(others) > 1:
        contract_activations(graph, layer, ids)
    else:
        # Of two weights, one makes the units that the other takes as input.
        for place in weights[:-1]:
            graph.set_role(*place, OUT)
        graph.set_role(*weights[-1], IN)


def contract_activations(graph: Any, layer: Any, ids: np.ndarray) -> None:
    """Adds up products of two tensors: no weights take the units as input.

    Without zero weights a removal changes the outputs, as that of the units
    of a normalization does. Inside an opened layer the units are the size of
    a head, by which the layer scales the products.
    """
    reason = f"is multiplied and added up by '{layer.name}'"
    if graph.inside:
        graph.protect(ids, reason)
    else:
        graph.mark_normalized_together(ids, layer)
        graph.mark_not_replicable(ids, reason)


@handles_ops("Einsum")
class EinsumHandler(Handler):
    """Couples the axes of each letter."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        operands = node.arguments.args
        labels, made = _split_equation(layer.subscripts, operands)
        trace_product(graph, layer, operands, labels, made, node.outputs[0])


def _split_equation(
    equation: Any, operands: Sequence[Any]
) -> tuple[list[Labels], Labels]:
    """Returns the labels of each operand and of the result.

    The axes of an ellipsis are counted from the right.
    """
    if not isinstance(equation, str):
        raise UnsupportedLayer("has an equation that is not a text")
    left, arrow, made = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise UnsupportedLayer(f"has the equation '{equation}'")
    labels, longest = [], 0
    for term, operand in zip(terms, operands, strict=True):
        free = _rank(operand) - len(term.replace("...", ""))
        longest = max(longest, free if "..." in term else 0)
        labels.append(_expand(term, free))
    if not arrow:
        once = {c for c in left if c.isalpha() and left.count(c) == 1}
        made = ("..." if "..." in left else "") + "".join(sorted(once))
    return labels, _expand(made, longest)


def _expand(term: str, free: int) -> Labels:
    before, dots, after = term.partition("...")
    middle = range(-free, 0) if dots else ()
    return [*before, *middle, *after]


@handles_ops("Matmul")
class MatmulHandler(Handler):
    """Multiplies matrices; the leading axes are broadcast."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        operands = _two_operands(node)
        ranks = [_rank(one) for one in operands]
        batches = [list(range(-rank, -2)) for rank in ranks]
        rows: list[Hashable] = ["row"] if ranks[0] > 1 else []
        columns: list[Hashable] = ["column"] if ranks[1] > 1 else []
        labels: list[Labels] = [
            [*batches[0], *rows, "sum"],
            [*batches[1], "sum", *columns],
        ]
        made = [*max(batches, key=len), *rows, *columns]
        trace_product(graph, layer, operands, labels, made, node.outputs[0])


@handles_ops("Dot", "Inner")
class DotOpHandler(Handler):
    """Adds up over the last axis of both, for `dot` the second to last."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        operands = _two_operands(node)
        ranks = [_rank(one) for one in operands]
        if 0 in ranks:
            raise UnsupportedLayer("multiplies by a number")
        second = type(layer).__name__ == "Dot" and ranks[1] > 1
        over = [ranks[0] - 1], [ranks[1] - 1 - second]
        _trace_tensordot(graph, layer, operands, over, node.outputs[0])


@handles_ops("Tensordot")
class TensordotHandler(Handler):
    """Adds up over pairs of axes."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        operands = _two_operands(node)
        ranks = [_rank(one) for one in operands]
        axes = layer.axes
        if isinstance(axes, int):
            over = list(range(ranks[0] - axes, ranks[0])), list(range(axes))
        else:
            one, other = (
                [k % rank for k in ([a] if isinstance(a, int) else a)]
                for a, rank in zip(axes, ranks, strict=True)
            )
            over = one, other
        _trace_tensordot(graph, layer, operands, over, node.outputs[0])


def _trace_tensordot(
    graph: Any,
    layer: Any,
    operands: Sequence[Any],
    over: tuple[list[int], list[int]],
    output: Any,
) -> None:
    labels: list[list[Hashable]] = [
        [(side, axis) for axis in range(_rank(one))]
        for side, one in enumerate(operands)
    ]
    made = [
        label
        for side, names in enumerate(labels)
        for axis, label in enumerate(names)
        if axis not in over[side]
    ]
    for number, (one, other) in enumerate(zip(*over, strict=True)):
        labels[0][one] = labels[1][other] = ("sum", number)
    trace_product(graph, layer, operands, labels, made, output)


def _two_operands(node: Any) -> list[Any]:
    return [*node.arguments.args, *node.arguments.kwargs.values()]


def _rank(operand: Any) -> int:
    shape = constant_shape(operand)
    return len(operand.shape if shape is None else shape)
