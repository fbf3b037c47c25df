"""Bidirectional, TimeDistributed and SpectralNormalization."""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import PASS, UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles
from keras_netopt.surgery.handlers.handler_tools import (
    single_input,
    tensor_inputs,
    update_input_spec,
)
from keras_netopt.surgery.update_shapes import update_call_shapes

L = keras.layers


@handles(L.Bidirectional)
class BidirectionalHandler(Handler):
    """Runs two recurrent layers and merges their outputs.

    Unit k of both layers is coupled: Keras requires equal sizes, and a loaded
    wrapper builds the backward layer from the forward one.
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, *states = tensor_inputs(graph, node)
        if states:
            raise UnsupportedLayer("is called with initial states")
        calls = _both(node, tensor)
        for call in calls:
            graph.trace_call(call.operation, call)
            if graph.unsupported_reason(call.operation):
                raise UnsupportedLayer(graph.unsupported_reason(call.operation))
        ((axis, forward),) = graph.channel_axes(calls[0].outputs[0]).items()
        backward = graph.channel_axes(calls[1].outputs[0])[axis]
        graph.couple(forward, backward)
        outputs = [forward, backward]
        if layer.merge_mode == "concat":
            if axis != len(node.outputs[0].shape) - 1:
                raise UnsupportedLayer("concatenates an axis without channels")
            outputs = [np.concatenate([forward, backward])]
        elif layer.merge_mode is not None:
            outputs = [forward]
        for output, ids in zip(node.outputs, outputs, strict=False):
            graph.set_channels(output, axis, ids)
        states = [state for call in calls for state in call.outputs[1:]]
        rest = node.outputs[len(outputs) :]
        for output, state in zip(rest, states, strict=True):
            graph.set_channel_axes(output, graph.channel_axes(state))

    def update_attributes(self, layer: Any, node: Any) -> None:
        for call in _both(node, node.input_tensors[0]):
            update_call_shapes(call.operation, call)


def _both(node: Any, tensor: Any) -> list[Any]:
    layer = node.operation
    return [
        node.inside(inner, tensor, inner.compute_output_spec(tensor))
        for inner in (layer.forward_layer, layer.backward_layer)
    ]


@handles(L.TimeDistributed)
class TimeDistributedHandler(Handler):
    """Calls a layer on every step, with the step axis removed."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        call = _step(node)
        tensor = single_input(graph, node)
        axes = graph.channel_axes(tensor)
        if 1 in axes:
            raise UnsupportedLayer("uses channels as steps")
        axes = {axis - 1: ids for axis, ids in axes.items()}
        inside, outside = call.input_tensors[0], call.outputs[0]
        graph.set_channel_axes(inside, axes, reason=graph.fixed_reason(tensor))
        graph.trace_call(call.operation, call)
        if graph.unsupported_reason(call.operation):
            raise UnsupportedLayer(graph.unsupported_reason(call.operation))
        axes = graph.channel_axes(outside)
        axes = {axis + 1: ids for axis, ids in axes.items()}
        graph.set_channel_axes(
            node.outputs[0], axes, reason=graph.fixed_reason(outside)
        )

    def update_attributes(self, layer: Any, node: Any) -> None:
        call = _step(node)
        update_call_shapes(call.operation, call)


def _step(node: Any) -> Any:
    one, other = (
        keras.KerasTensor((t.shape[0], *t.shape[2:]), dtype=t.dtype)
        for t in (node.input_tensors[0], node.outputs[0])
    )
    return node.inside(node.operation.layer, one, other)


@handles(L.SpectralNormalization)
class SpectralNormalizationHandler(Handler):
    """Divides the kernel of a layer by its norm while training."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        call = node.inside(layer.layer, single_input(graph, node), node.outputs)
        graph.trace_call(call.operation, call)
        if graph.unsupported_reason(call.operation):
            raise UnsupportedLayer(graph.unsupported_reason(call.operation))
        units = graph.producers.get(layer.layer)
        if units is None:
            raise UnsupportedLayer("wraps a layer that makes no units")
        graph.couple_axis(
            layer, layer.vector_u, 1, units, PASS, new_value="mean"
        )

    def update_attributes(self, layer: Any, node: Any) -> None:
        call = node.inside(layer.layer, node.input_tensors[0], node.outputs)
        update_call_shapes(call.operation, call)
        layer.kernel_shape = layer.kernel.shape
        sizes = {-1: node.input_tensors[0].shape[-1]}
        update_input_spec(layer, sizes)
