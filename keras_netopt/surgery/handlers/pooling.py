"""Pooling, padding, cropping and upsampling."""

from typing import Any

import keras

from keras_netopt.surgery.handlers.common import (
    channel_axis,
    input_of,
    last_axis,
)
from keras_netopt.surgery.handlers.registry import Handler, handles

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
    """Works on positions; every channel is treated alone."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        axis = -1  # One-dimensional padding and the like have no data format.
        if hasattr(layer, "data_format"):
            axis = channel_axis(layer)
        if not graph.axes(tensor):
            graph.set_axes(node.outputs[0], {}, why=graph.why(tensor))
            return
        ids = graph.channels(tensor, axis)
        graph.set_label(node.outputs[0], axis, ids)


@handles(*_all("GlobalMaxPooling", "GlobalAveragePooling"))
class GlobalPoolingHandler(Handler):
    """Takes one figure of each channel."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        output = node.outputs[0]
        if not graph.axes(tensor):
            graph.set_axes(output, {}, why=graph.why(tensor))
            return
        axis = channel_axis(layer) % len(tensor.shape)
        ids = graph.channels(tensor, axis)
        first = axis == 1 and len(tensor.shape) > 2
        graph.set_label(output, 1 if first else last_axis(output), ids)
