"""Depthwise and separable convolutions."""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.graph.units import IN, OUT, PASS
from keras_netopt.surgery.handlers.common import (
    channel_axis,
    check_activation,
    expect,
    input_of,
)
from keras_netopt.surgery.handlers.registry import Handler, handles


def _fan(graph: Any, layer: Any, ids: np.ndarray) -> np.ndarray:
    """The input channel of each channel that the depthwise step makes."""
    if layer.depth_multiplier == 1:
        return ids
    graph.mark_rigid(
        ids, f"has {layer.depth_multiplier} filters a channel in '{layer.name}'"
    )
    return np.repeat(ids, layer.depth_multiplier)


@handles(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
class DepthwiseHandler(Handler):
    """Filters each channel alone; a channel takes all its outputs along."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        axis = channel_axis(layer)
        ids = graph.channels(input_of(graph, node), axis)
        graph.bind(layer, layer.kernel, layer.rank, ids, PASS)
        made = _fan(graph, layer, ids)
        graph.bind(layer, layer.bias, 0, made, PASS, fresh="zeros")
        check_activation(graph, layer, made)
        graph.set_label(node.outputs[0], axis, made)

    def sync(self, layer: Any, node: Any) -> None:
        inputs = int(layer.kernel.shape[layer.rank])
        expect(layer, {channel_axis(layer): inputs})


@handles(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
class SeparableHandler(Handler):
    """A depthwise step and a convolution of size one."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        axis = channel_axis(layer)
        ids = graph.channels(input_of(graph, node), axis)
        graph.bind(layer, layer.depthwise_kernel, layer.rank, ids, PASS)
        made = _fan(graph, layer, ids)
        graph.bind(layer, layer.pointwise_kernel, layer.rank, made, IN)
        units = graph.new_units(layer, layer.filters)
        graph.bind(layer, layer.pointwise_kernel, layer.rank + 1, units, OUT)
        graph.bind(layer, layer.bias, 0, units, OUT, fresh="zeros")
        check_activation(graph, layer, units)
        graph.set_label(node.outputs[0], axis, units)

    def sync(self, layer: Any, node: Any) -> None:
        layer.filters = int(layer.pointwise_kernel.shape[-1])
        inputs = int(layer.depthwise_kernel.shape[layer.rank])
        expect(layer, {channel_axis(layer): inputs})
