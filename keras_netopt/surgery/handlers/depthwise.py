"""Depthwise and separable convolutions."""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import IN, OUT, PASS
from keras_netopt.surgery.handler_registry import Handler, handles
from keras_netopt.surgery.handlers.activations import check_activation
from keras_netopt.surgery.handlers.handler_tools import (
    channel_axis,
    single_input,
    update_input_spec,
)


def _fan(graph: Any, layer: Any, ids: np.ndarray) -> np.ndarray:
    """Returns the input channel of each channel of the depthwise step."""
    if layer.depth_multiplier == 1:
        return ids
    graph.mark_not_replicable(
        ids,
        f"has {layer.depth_multiplier} filters per channel in '{layer.name}'",
    )
    return np.repeat(ids, layer.depth_multiplier)


@handles(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
class DepthwiseHandler(Handler):
    """Filters each channel alone; a channel is coupled to its outputs."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        axis = channel_axis(layer)
        ids = graph.channels(single_input(graph, node), axis)
        graph.couple_axis(layer, layer.kernel, layer.rank, ids, PASS)
        made = _fan(graph, layer, ids)
        graph.couple_axis(layer, layer.bias, 0, made, PASS, new_value="zeros")
        check_activation(graph, layer, made)
        graph.set_channels(node.outputs[0], axis, made)

    def update_attributes(self, layer: Any, node: Any) -> None:
        inputs = int(layer.kernel.shape[layer.rank])
        update_input_spec(layer, {channel_axis(layer): inputs})


@handles(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
class SeparableHandler(Handler):
    """A depthwise step and a pointwise convolution."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        axis = channel_axis(layer)
        ids = graph.channels(single_input(graph, node), axis)
        graph.couple_axis(layer, layer.depthwise_kernel, layer.rank, ids, PASS)
        made = _fan(graph, layer, ids)
        graph.couple_axis(layer, layer.pointwise_kernel, layer.rank, made, IN)
        units = graph.new_units(layer, layer.filters)
        graph.couple_axis(
            layer, layer.pointwise_kernel, layer.rank + 1, units, OUT
        )
        graph.couple_axis(layer, layer.bias, 0, units, OUT, new_value="zeros")
        check_activation(graph, layer, units)
        graph.set_channels(node.outputs[0], axis, units)

    def update_attributes(self, layer: Any, node: Any) -> None:
        layer.filters = int(layer.pointwise_kernel.shape[-1])
        inputs = int(layer.depthwise_kernel.shape[layer.rank])
        update_input_spec(layer, {channel_axis(layer): inputs})
