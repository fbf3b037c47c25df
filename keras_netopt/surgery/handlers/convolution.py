"""Convolutions, grouped ones too, and their transposes.

Private name of Keras 3.15: `BaseConv._kernel`.
"""

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


@handles(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class ConvHandler(Handler):
    """Reads all channels, or each group of them, and makes filters.

    A grouped convolution keeps the size of its groups: a class holds all the
    inputs and all the filters of one group. With one channel and one filter a
    group it is a depthwise convolution.
    """

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        axis = channel_axis(layer)
        ids = graph.channels(input_of(graph, node), axis)
        if layer.groups == 1:
            graph.bind(layer, layer._kernel, layer.rank, ids, IN)
            units, role = graph.new_units(layer, layer.filters), OUT
        elif layer.groups == len(ids) == layer.filters:
            units, role = ids, PASS
        else:
            units, role = graph.new_units(layer, layer.filters), OUT
            self._tie(graph, layer, ids, units)
        graph.bind(layer, layer._kernel, layer.rank + 1, units, role)
        graph.bind(layer, layer.bias, 0, units, role, fresh="zeros")
        check_activation(graph, layer, units)
        graph.set_label(node.outputs[0], axis, units)

    def _tie(
        self, graph: Any, layer: Any, ids: np.ndarray, units: np.ndarray
    ) -> None:
        reason = f"is a group of the convolution '{layer.name}'"
        for group in (ids, units):
            members = group.reshape(layer.groups, -1).T
            for member in members:
                graph.unite(units.reshape(layer.groups, -1)[:, 0], member)
            graph.mark_rigid(group, reason)

    def sync(self, layer: Any, node: Any) -> None:
        inside, layer.filters = (int(n) for n in layer._kernel.shape[-2:])
        axis = channel_axis(layer)
        inputs = node.input_tensors[0].shape[axis]
        layer.groups = inputs // inside
        expect(layer, {axis: inputs})


@handles(
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
class ConvTransposeHandler(Handler):
    """A convolution whose kernel holds the filters before the inputs."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        axis = channel_axis(layer)
        ids = graph.channels(input_of(graph, node), axis)
        graph.bind(layer, layer.kernel, layer.rank + 1, ids, IN)
        units = graph.new_units(layer, layer.filters)
        graph.bind(layer, layer.kernel, layer.rank, units, OUT)
        graph.bind(layer, layer.bias, 0, units, OUT, fresh="zeros")
        check_activation(graph, layer, units)
        graph.set_label(node.outputs[0], axis, units)

    def sync(self, layer: Any, node: Any) -> None:
        layer.filters, inputs = (int(n) for n in layer.kernel.shape[-2:])
        expect(layer, {channel_axis(layer): inputs})
