"""Convolutions, grouped convolutions and transposed convolutions.

Private name of Keras 3.15: `BaseConv._kernel`.
"""

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


@handles(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class ConvHandler(Handler):
    """Takes all channels, or each group of them, as input and makes filters.

    A grouped convolution keeps the size of its groups: all inputs and filters
    of one of its groups are coupled. With one channel and one filter per group
    it is a depthwise convolution.
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        axis = channel_axis(layer)
        ids = graph.channels(single_input(graph, node), axis)
        if layer.groups == 1:
            graph.couple_axis(layer, layer._kernel, layer.rank, ids, IN)
            units, role = graph.new_units(layer, layer.filters), OUT
        elif layer.groups == len(ids) == layer.filters:
            units, role = ids, PASS
        else:
            units, role = graph.new_units(layer, layer.filters), OUT
            self._couple_groups(graph, layer, ids, units)
        graph.couple_axis(layer, layer._kernel, layer.rank + 1, units, role)
        graph.couple_axis(layer, layer.bias, 0, units, role, new_value="zeros")
        check_activation(graph, layer, units)
        graph.set_channels(node.outputs[0], axis, units)

    def _couple_groups(
        self, graph: Any, layer: Any, ids: np.ndarray, units: np.ndarray
    ) -> None:
        reason = f"is a group of the convolution '{layer.name}'"
        for group in (ids, units):
            members = group.reshape(layer.groups, -1).T
            for member in members:
                graph.couple(units.reshape(layer.groups, -1)[:, 0], member)
            graph.mark_not_replicable(group, reason)

    def update_attributes(self, layer: Any, node: Any) -> None:
        inside, layer.filters = (int(n) for n in layer._kernel.shape[-2:])
        axis = channel_axis(layer)
        inputs = node.input_tensors[0].shape[axis]
        layer.groups = inputs // inside
        update_input_spec(layer, {axis: inputs})


@handles(
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
class ConvTransposeHandler(Handler):
    """A convolution whose kernel has the filters before the inputs."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        axis = channel_axis(layer)
        ids = graph.channels(single_input(graph, node), axis)
        graph.couple_axis(layer, layer.kernel, layer.rank + 1, ids, IN)
        units = graph.new_units(layer, layer.filters)
        graph.couple_axis(layer, layer.kernel, layer.rank, units, OUT)
        graph.couple_axis(layer, layer.bias, 0, units, OUT, new_value="zeros")
        check_activation(graph, layer, units)
        graph.set_channels(node.outputs[0], axis, units)

    def update_attributes(self, layer: Any, node: Any) -> None:
        layer.filters, inputs = (int(n) for n in layer.kernel.shape[-2:])
        update_input_spec(layer, {channel_axis(layer): inputs})
