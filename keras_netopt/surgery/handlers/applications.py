"""Layers that `keras.applications` define for themselves."""

from typing import Any

from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from keras_netopt.surgery.coupled_axis import PASS
from keras_netopt.surgery.handler_registry import Handler, register
from keras_netopt.surgery.handlers.elementwise import ElementwiseHandler
from keras_netopt.surgery.handlers.handler_tools import (
    copy_channel_axes,
    single_input,
)
from keras_netopt.surgery.handlers.merging import MergeHandler

register(StochasticDepth, ElementwiseHandler)
register(CustomScaleLayer, MergeHandler)


@register(LayerScale)
class LayerScaleHandler(Handler):
    """Scales each channel by its own weight."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        ids = graph.channels(tensor, -1, alone=False)
        graph.couple_axis(layer, layer.gamma, 0, ids, PASS, new_value="mean")
        copy_channel_axes(graph, tensor, node.outputs[0])

    def update_attributes(self, layer: Any, node: Any) -> None:
        layer.projection_dim = int(layer.gamma.shape[0])
