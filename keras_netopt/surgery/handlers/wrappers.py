"""Bidirectional and TimeDistributed."""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.graph.units import (
    Arguments,
    OperationCall,
    Unsupported,
)
from keras_netopt.surgery.handlers.common import input_of, inputs_of
from keras_netopt.surgery.handlers.registry import Handler, handles
from keras_netopt.surgery.handlers.settle import settle_layer

L = keras.layers


@handles(L.Bidirectional)
class BidirectionalHandler(Handler):
    """Runs two recurrent layers and merges what they make.

    Unit k of both is one class: Keras takes it that both are of one size, and
    a reloaded layer makes the backward layer after the forward one.
    """

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, *states = inputs_of(graph, node)
        if states:
            raise Unsupported("is called with initial states")
        calls = _both(layer, tensor)
        for call in calls:
            graph.call(call.operation, call)
            if graph.failure(call.operation):
                raise Unsupported(graph.failure(call.operation))
        forward, backward = (
            graph.axes(call.outputs[0])[len(call.outputs[0].shape) - 1]
            for call in calls
        )
        graph.unite(forward, backward)
        rank = len(node.outputs[0].shape) - 1
        outputs = [forward, backward]
        if layer.merge_mode == "concat":
            outputs = [np.concatenate([forward, backward])]
        elif layer.merge_mode is not None:
            outputs = [forward]
        for output, ids in zip(node.outputs, outputs, strict=False):
            graph.set_label(output, rank, ids)
        rest = node.outputs[len(outputs) :]
        for place, output in enumerate(rest):
            ids = forward if place < len(rest) // 2 else backward
            graph.set_label(output, 1, ids)

    def sync(self, layer: Any, node: Any) -> None:
        for call in _both(layer, node.input_tensors[0]):
            settle_layer(call.operation, call)


def _both(layer: Any, tensor: Any) -> list[OperationCall]:
    calls = []
    for inner in (layer.forward_layer, layer.backward_layer):
        outputs = keras.tree.flatten(inner.compute_output_spec(tensor))
        calls.append(OperationCall(inner, Arguments((tensor,), {}), outputs))
    return calls


@handles(L.TimeDistributed)
class TimeDistributedHandler(Handler):
    """Calls a layer on every step; channels lie one axis further left."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        call = _step(layer, node)
        tensor = input_of(graph, node)
        axes = graph.axes(tensor)
        if 1 in axes:
            raise Unsupported("takes channels for steps")
        axes = {axis - 1: ids for axis, ids in axes.items()}
        inside, outside = call.input_tensors[0], call.outputs[0]
        graph.set_axes(inside, axes, why=graph.why(tensor))
        graph.call(call.operation, call)
        if graph.failure(call.operation):
            raise Unsupported(graph.failure(call.operation))
        axes = graph.axes(outside)
        axes = {axis + 1: ids for axis, ids in axes.items()}
        graph.set_axes(node.outputs[0], axes, why=graph.why(outside))

    def sync(self, layer: Any, node: Any) -> None:
        call = _step(layer, node)
        settle_layer(call.operation, call)


def _step(layer: Any, node: Any) -> OperationCall:
    one, other = (
        keras.KerasTensor((t.shape[0], *t.shape[2:]), dtype=t.dtype)
        for t in (node.input_tensors[0], node.outputs[0])
    )
    return OperationCall(layer.layer, Arguments((one,), {}), [other])
