"""Pooling, padding, cropping and upsampling."""

from typing import Any

import keras

from keras_netopt.surgery.handler_registry import Handler, handles
from keras_netopt.surgery.handlers.handler_tools import (
    channel_axis,
    last_axis,
    move_channel_axes,
    single_input,
)

L = keras.layers


def _all(*names: str, ranks: str = "123") -> list[type]:
    found = [f"{name}{rank}D" for name in names for rank in ranks]
    return [getattr(L, name) for name in found if hasattr(L, name)]


@handles(
    *_all("MaxPooling", "AveragePooling"),
    *_all("AdaptiveAveragePooling", "AdaptiveMaxPooling"),
    *_all("ZeroPadding", "Cropping", "UpSampling"),
    *(L.Resizing, L.RandomFlip, L.RandomCrop, L.CenterCrop),
)
class SpatialHandler(Handler):
    """Acts on positions, on each channel alone."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        axis = -1  # One-dimensional layers without `data_format`.
        if hasattr(layer, "data_format"):
            axis = channel_axis(layer)
        if not graph.channel_axes(tensor):
            move_channel_axes(graph, tensor, node.outputs[0], {})
            return
        ids = graph.channels(tensor, axis)
        graph.set_channels(node.outputs[0], axis, ids)


@handles(*_all("GlobalMaxPooling", "GlobalAveragePooling"))
class GlobalPoolingHandler(Handler):
    """Reduces each channel to one value."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        output = node.outputs[0]
        if not graph.channel_axes(tensor):
            move_channel_axes(graph, tensor, output, {})
            return
        axis = channel_axis(layer) % len(tensor.shape)
        ids = graph.channels(tensor, axis)
        first = axis == 1 and len(tensor.shape) > 2
        graph.set_channels(output, 1 if first else last_axis(output), ids)
