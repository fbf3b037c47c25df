"""Ops of `keras.ops` that take or split entries of axes."""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import OUT, UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles_ops
from keras_netopt.surgery.handlers.axis_ops import (
    FullAxesHandler,
    write_attribute,
)
from keras_netopt.surgery.handlers.constants import (
    bound_arguments,
    constant_shape,
)
from keras_netopt.surgery.handlers.handler_tools import (
    move_channel_axes,
    protect_axes,
    single_input,
)

SOME = "takes some of the channels"


def take_every(
    graph: Any, layer: Any, tensor: Any, axis: int, step: int
) -> np.ndarray:
    """Returns the units of every `step`-th channel, which are coupled.

    The channels between are coupled to them, so that the same positions are
    taken after an edit.
    """
    ids = graph.channel_axes(tensor)[axis]
    rows = ids.reshape(-1, step)
    for column in rows.T[1:]:
        graph.couple(rows[:, 0], column)
    graph.mark_not_replicable(ids, f"is interleaved by '{layer.name}'")
    return rows[:, 0]


@handles_ops("GetItem")
class GetItemHandler(Handler):
    """Takes slices; of channels, every k-th one of each k."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        key = _full_key(tensor, bound_arguments(layer, node)["key"])
        axes, labels, fixed = graph.channel_axes(tensor), {}, ""
        old = new = 0
        for part in key:
            if part is None:
                new += 1
                continue
            if old in axes:
                found = self._take(graph, layer, tensor, old, part)
                if found is None:
                    graph.protect(axes[old], graph.refusal(layer, SOME))
                    fixed = graph.refusal(layer, SOME)
                else:
                    labels[new] = found
            old += 1
            new += isinstance(part, slice)
        reason = fixed or ("" if labels else graph.fixed_reason(tensor))
        graph.set_channel_axes(node.outputs[0], labels, reason=reason)

    def _take(
        self, graph: Any, layer: Any, tensor: Any, axis: int, part: Any
    ) -> np.ndarray | None:
        if not isinstance(part, slice) or part.stop is not None:
            return None  # A stop that is written out is the old size.
        start = 0 if part.start is None else part.start
        step = 1 if part.step is None else part.step
        if not (isinstance(start, int) and isinstance(step, int)):
            return None
        ids = graph.channel_axes(tensor)[axis]
        if (start, step) == (0, 1):
            return ids
        if 0 <= start < step and len(ids) % step == 0:
            return take_every(graph, layer, tensor, axis, step)
        return None


def _full_key(tensor: Any, key: Any) -> tuple[Any, ...]:
    """Returns one part for each axis of the tensor, and `None` for new axes."""
    key = tuple(key) if isinstance(key, (list, tuple)) else (key,)
    dots = [k for k, part in enumerate(key) if part is Ellipsis]
    used = [part for part in key if part is not None and part is not Ellipsis]
    free = len(tensor.shape) - len(used)
    position = dots[0] if dots else len(key)
    return (*key[:position], *[slice(None)] * free, *key[position + 1 :])


@handles_ops("Slice")
class SliceHandler(FullAxesHandler):
    """Takes a block of entries; all of the channels."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = node.input_tensors[0], node.outputs[0]
        start = bound_arguments(layer, node)["start_indices"]
        axes = graph.channel_axes(tensor)
        cut = [
            axis
            for axis, ids in axes.items()
            if layer.shape[axis] not in (-1, len(ids))
            or (layer.shape[axis] == -1 and not _starts_at_zero(start, axis))
        ]
        labels = protect_axes(graph, layer, tensor, cut, SOME)
        for axis, ids in labels.items():
            graph.couple_calls(layer, f"axis {axis}", ids)
        self.note_axes(layer, {axis: axis for axis in labels})
        move_channel_axes(graph, tensor, output, labels)


def _starts_at_zero(start: Any, axis: int) -> bool:
    if isinstance(start, keras.KerasTensor):
        return False
    return int(np.asarray(start)[axis]) == 0


@handles_ops("Take")
class TakeHandler(Handler):
    """Takes entries of one axis, as a table does."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        given = bound_arguments(layer, node)
        tensor, indices = given["x"], given["indices"]
        if isinstance(indices, keras.KerasTensor):
            if graph.channel_axes(indices):
                raise UnsupportedLayer("takes channels as positions")
            count = len(indices.shape)
        else:
            count = len(constant_shape(indices) or ())
        if not isinstance(tensor, keras.KerasTensor):
            return  # A constant table: the output has sizes that are fixed.
        if layer.axis is None and graph.channel_axes(tensor):
            raise UnsupportedLayer("flattens its input")
        place = (layer.axis or 0) % len(tensor.shape)
        axes = protect_axes(graph, layer, tensor, [place], SOME)
        labels = {
            axis if axis < place else axis - 1 + count: ids
            for axis, ids in axes.items()
        }
        for axis in axes:
            graph.set_role(tensor, axis, OUT)
        move_channel_axes(graph, tensor, node.outputs[0], labels)


@handles_ops("TakeAlongAxis")
class TakeAlongAxisHandler(Handler):
    """Takes entries of one axis, others for each entry of the other axes."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        output = node.outputs[0]
        tensors = list(node.input_tensors)
        if any(map(graph.channel_axes, tensors)) and layer.axis is None:
            raise UnsupportedLayer("flattens its input")
        place = (layer.axis or 0) % len(output.shape)
        axes = {axis for one in tensors for axis in graph.channel_axes(one)}
        labels = {}
        for one in tensors:
            protect_axes(graph, layer, one, [place], SOME)
        for axis in axes - {place}:
            full = [t for t in tensors if t.shape[axis] != 1]
            found = [graph.channels(t, axis, alone=False) for t in full]
            for ids in found[1:]:
                graph.couple(found[0], ids)
            if found:
                labels[axis] = found[0].copy()
        move_channel_axes(graph, tensors[0], output, labels)


@handles_ops("Split", "ArraySplit", "Hsplit", "Vsplit", "Dsplit", "Glu")
class SplitHandler(Handler):
    """Splits an axis; the parts of a channel axis are coupled."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, outputs = single_input(graph, node), node.outputs
        axis = _split_axis(layer, tensor)
        axes = graph.channel_axes(tensor)
        parts: list[Any] = [None] * len(outputs)
        fixed = ""
        if axis in axes:
            parts = self._parts(graph, layer, axes.pop(axis), outputs, axis)
            if parts[0] is None:
                fixed = graph.refusal(
                    layer, "splits channels at fixed positions"
                )
                graph.protect(graph.channel_axes(tensor)[axis], fixed)
        for output, part in zip(outputs, parts, strict=True):
            labels = axes if part is None else {**axes, axis: part}
            reason = fixed or graph.fixed_reason(tensor)
            graph.set_channel_axes(output, labels, reason=reason)

    def _parts(
        self, graph: Any, layer: Any, ids: np.ndarray, outputs: Any, axis: int
    ) -> list[Any]:
        count = 2 if type(layer).__name__ == "Glu" else len(outputs)
        sections = getattr(layer, "indices_or_sections", count)
        if isinstance(sections, int):
            equal = len(ids) % count == 0
        else:
            step = len(ids) // count
            equal = list(sections) == list(range(step, len(ids), step))
            equal = equal and not graph.inside
        if not equal:
            return [None] * len(outputs)
        parts = np.split(ids, count)
        for part in parts[1:]:
            graph.couple(parts[0], part)
        return parts[: len(outputs)]

    def update_attributes(self, layer: Any, node: Any) -> None:
        sections = getattr(layer, "indices_or_sections", 1)
        if isinstance(sections, int):
            return
        tensor = node.input_tensors[0]
        axis = _split_axis(layer, tensor)
        size, count = tensor.shape[axis], len(node.outputs)
        old = {output.shape[axis] for output in node.outputs}
        if len(old) == 1 and size is not None and size % count == 0:
            step = size // count
            new = tuple(range(step, size, step))
            write_attribute(layer, "indices_or_sections", new)


def _split_axis(layer: Any, tensor: Any) -> int:
    rank = len(tensor.shape)
    name = type(layer).__name__
    axis = {"Hsplit": min(1, rank - 1), "Vsplit": 0, "Dsplit": 2}.get(name)
    return (layer.axis if axis is None else axis) % rank
