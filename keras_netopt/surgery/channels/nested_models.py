"""Couples the channels inside a nested model to those around it."""

from typing import Any

import keras

from keras_netopt.graph.model_graph import (
    GRAPH_MODELS,
    graph_inputs,
    graph_outputs,
)
from keras_netopt.surgery.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles


@handles(*GRAPH_MODELS)
class ModelHandler(Handler):
    """Traces the calls inside; a second call couples its inputs to them."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        inputs = graph_inputs(layer)
        given = keras.tree.flatten(node.arguments.args[:1])
        if len(given) != len(inputs):
            raise UnsupportedLayer(
                f"takes {len(inputs)} inputs and is given {len(given)}"
            )
        for inside, outside in zip(inputs, given, strict=True):
            if len(inside.shape) != len(outside.shape):
                raise UnsupportedLayer("is called on a tensor of another rank")
            self._enter(graph, inside, outside)
        graph.trace_model(layer)
        for inside, outside in zip(
            graph_outputs(layer), node.outputs, strict=True
        ):
            axes = graph.channel_axes(inside)
            graph.set_channel_axes(
                outside, axes, reason=graph.fixed_reason(inside)
            )

    def _enter(self, graph: Any, inside: Any, outside: Any) -> None:
        if not graph.is_traced(inside):
            graph.set_channel_axes(
                inside,
                graph.channel_axes(outside),
                reason=graph.fixed_reason(outside),
            )
            return
        for axis in {*graph.channel_axes(inside), *graph.channel_axes(outside)}:
            graph.couple(
                graph.channels(inside, axis, alone=False),
                graph.channels(outside, axis, alone=False),
            )
