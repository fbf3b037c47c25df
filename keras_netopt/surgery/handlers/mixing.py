"""Layers and ops that mix the entries along an axis, or reduce it."""

from typing import Any

import keras

from keras_netopt.surgery.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.handler_registry import (
    Handler,
    handles,
    handles_ops,
)
from keras_netopt.surgery.handlers.handler_tools import (
    given_axes,
    protect_axes,
    single_input,
)
from keras_netopt.surgery.handlers.merging import couple_operands


@handles(keras.layers.Softmax)
@handles_ops("Softmax", "LogSoftmax", "Sparsemax")
class SoftmaxHandler(Handler):
    """Mixes the entries along its axis; the layer may have a mask."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, *masks = node.input_tensors
        output = node.outputs[0]
        couple_operands(graph, [tensor, *masks], output)
        over = given_axes(getattr(layer, "axis", -1), len(output.shape))
        protect_axes(graph, layer, output, over, "mixes channels")


@handles_ops("Cumsum", "Cumprod", "Nancumsum", "Nancumprod")
class ScanHandler(Handler):
    """Makes each entry of those along an axis; the shape is kept."""

    reason = "adds up or multiplies channels"

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        labels = graph.channel_axes(tensor)
        if layer.axis is None and labels:
            raise UnsupportedLayer("flattens its input")
        over = given_axes(layer.axis, len(tensor.shape))
        protect_axes(graph, layer, tensor, over, self.reason)
        for output in node.outputs:
            graph.set_channel_axes(
                output, labels, reason=graph.fixed_reason(tensor)
            )


@handles_ops("Normalize")
class NormalizeHandler(ScanHandler):
    """Divides by the norm along an axis."""

    reason = "normalizes over channels"


@handles_ops("Sort", "Argsort", "Argpartition")
class SortHandler(ScanHandler):
    """Sorts along an axis."""

    reason = "sorts channels"


@handles_ops("Roll")
class RollHandler(ScanHandler):
    """Moves the last entries to the front."""

    reason = "rotates channels"


@handles_ops("TopK")
class TopKHandler(Handler):
    """Sorts the last axis, which is shorter in both outputs."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        labels = protect_axes(graph, layer, tensor, [-1], "sorts channels")
        for output in node.outputs:
            graph.set_channel_axes(
                output, labels, reason=graph.fixed_reason(tensor)
            )


@handles_ops(
    *("Mean", "Max", "Sum", "Min", "Amax", "Amin", "Prod", "Std", "Var"),
    *("Any", "All", "Argmax", "Argmin", "CountNonzero", "Median", "Ptp"),
    *("Nanargmax", "Nanargmin", "Nanmax", "Nanmean", "Nanmedian", "Nanmin"),
    *("Nanprod", "Nanstd", "Nansum", "Nanvar", "Logsumexp", "Norm", "Moments"),
)
class ReduceHandler(Handler):
    """Reduces axes; units of a reduced axis must not change.

    `any` and `all` over channels that are all equal do not depend on the
    number of channels; Keras merges the masks of concatenated tensors so.
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        rank = len(tensor.shape)
        axis = layer.axes if hasattr(layer, "axes") else layer.axis
        over = given_axes(axis, rank)
        reason = "reduces over channels"
        if type(layer).__name__ in ("Any", "All") and graph.is_uniform(tensor):
            axes = graph.channel_axes(tensor)
            labels = {k: ids for k, ids in axes.items() if k not in over}
        else:
            labels = protect_axes(graph, layer, tensor, over, reason)
        keepdims = getattr(layer, "keepdims", False)
        kept = [k for k in range(rank) if keepdims or k not in over]
        text = graph.fixed_reason(tensor)
        if len(labels) < len(graph.channel_axes(tensor)):
            text = graph.refusal(layer, reason)
        moved = {kept.index(k): ids for k, ids in labels.items()}
        for output in node.outputs:
            graph.set_channel_axes(output, moved, reason=text)
