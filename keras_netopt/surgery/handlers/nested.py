"""Models inside models.

Private names of Keras 3.15: `Functional._inputs`, `_outputs`.
"""

from typing import Any

import keras
from keras.src.models.functional import Functional

from keras_netopt.surgery.graph.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.graph.layer_paths import inner_graph
from keras_netopt.surgery.handlers.registry import Handler, handles


@handles(Functional, keras.Sequential)
class ModelHandler(Handler):
    """Traces the calls inside; a second call couples its inputs to them."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        inner = inner_graph(layer)
        given = keras.tree.flatten(node.arguments.args[:1])
        if len(given) != len(inner._inputs):
            raise UnsupportedLayer(
                f"takes {len(inner._inputs)} inputs and is given {len(given)}"
            )
        for inside, outside in zip(inner._inputs, given, strict=True):
            if len(inside.shape) != len(outside.shape):
                raise UnsupportedLayer("is called on a tensor of another rank")
            self._enter(graph, inside, outside)
        graph.trace_model(layer)
        for inside, outside in zip(inner._outputs, node.outputs, strict=True):
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
