"""Layers that `keras.applications` define for themselves."""

from typing import Any

from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from keras_netopt.surgery.graph.units import PASS
from keras_netopt.surgery.handlers.common import input_of, keep_axes
from keras_netopt.surgery.handlers.elementwise import Elementwise
from keras_netopt.surgery.handlers.merging import MergeHandler
from keras_netopt.surgery.handlers.registry import Handler, register

register(StochasticDepth, Elementwise)
register(CustomScaleLayer, MergeHandler)


@register(LayerScale)
class LayerScaleHandler(Handler):
    """Scales each channel by a weight of its own."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        ids = graph.channels(tensor, -1, alone=False)
        graph.bind(layer, layer.gamma, 0, ids, PASS, fresh="mean")
        keep_axes(graph, tensor, node.outputs[0])

    def sync(self, layer: Any, node: Any) -> None:
        layer.projection_dim = int(layer.gamma.shape[0])
