"""Normalization layers."""

from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import PASS
from keras_netopt.surgery.handler_registry import (
    Handler,
    handles,
    handles_ops,
)
from keras_netopt.surgery.handlers.constants import (
    bound_arguments,
    constant_shape,
)
from keras_netopt.surgery.handlers.handler_tools import (
    copy_channel_axes,
    given_axes,
    protect_axes,
    single_input,
    update_input_spec,
)


def _scale(graph: Any, layer: Any, axis: int, ids: np.ndarray) -> None:
    gamma, beta = layer.gamma, getattr(layer, "beta", None)
    graph.couple_axis(layer, gamma, axis, ids, PASS, new_value="ones")
    graph.couple_axis(layer, beta, axis, ids, PASS, new_value="zeros")


@handles(keras.layers.BatchNormalization)
class BatchNormHandler(Handler):
    """Normalizes each channel alone."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        ids = graph.channels(single_input(graph, node), layer.axis)
        _scale(graph, layer, 0, ids)
        graph.couple_axis(
            layer, layer.moving_mean, 0, ids, PASS, new_value="zeros"
        )
        graph.couple_axis(
            layer, layer.moving_variance, 0, ids, PASS, new_value="ones"
        )
        copy_channel_axes(graph, single_input(graph, node), node.outputs[0])

    def update_attributes(self, layer: Any, node: Any) -> None:
        count = int(layer.moving_mean.shape[0])
        update_input_spec(layer, {layer.axis: count})


@handles(keras.layers.LayerNormalization, keras.layers.RMSNormalization)
class LayerNormHandler(Handler):
    """Computes statistics over its axes: a removal changes the outputs."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        rank = len(tensor.shape)
        over = layer.axis if isinstance(layer.axis, list) else [layer.axis]
        over = [axis % rank for axis in over]
        for axis, ids in graph.channel_axes(tensor).items():
            if axis in over:
                for variable, new_value in self._variables(layer):
                    position = over.index(axis)
                    graph.couple_axis(
                        layer,
                        variable,
                        position,
                        ids,
                        PASS,
                        new_value=new_value,
                    )
                graph.mark_normalized_together(ids, layer)
        copy_channel_axes(graph, tensor, node.outputs[0])

    def _variables(self, layer: Any) -> list[tuple[Any, str]]:
        scale = getattr(layer, "gamma", getattr(layer, "scale", None))
        return [(scale, "ones"), (getattr(layer, "beta", None), "zeros")]


@handles(keras.layers.GroupNormalization)
class GroupNormHandler(Handler):
    """Normalizes groups of channels, which are coupled.

    With one group it normalizes over all channels, with one channel per group
    each channel alone.
    """

    def __init__(self) -> None:
        self._sizes: WeakKeyDictionary[Any, int | None] = WeakKeyDictionary()

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        ids = graph.channels(tensor, layer.axis)
        size = len(ids) // layer.groups
        self._sizes[layer] = None if layer.groups == 1 else size
        if layer.groups == 1:
            graph.mark_normalized_together(ids, layer)
        elif size > 1:
            groups = ids.reshape(layer.groups, size)
            for member in groups.T[1:]:
                graph.couple(groups[:, 0], member)
            graph.mark_not_replicable(ids, f"is a group of '{layer.name}'")
        _scale(graph, layer, 0, ids)
        copy_channel_axes(graph, tensor, node.outputs[0])

    def update_attributes(self, layer: Any, node: Any) -> None:
        shape = node.input_tensors[0].shape
        count = shape[layer.axis]
        size = self._sizes.get(layer, count // layer.groups)
        if size is not None:
            layer.groups = count // size
        update_input_spec(layer, {layer.axis: count})


@handles(keras.layers.UnitNormalization)
class UnitNormHandler(Handler):
    """Has no parameters; supports channels on other axes only."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        over = given_axes(layer.axis, len(tensor.shape))
        reason = "normalizes over channels"
        protect_axes(graph, layer, tensor, over, reason)
        copy_channel_axes(graph, tensor, node.outputs[0])


@handles_ops("LayerNorm", "RMSNorm")
class NormOpHandler(Handler):
    """Computes statistics over its axes, as the layers do."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        given = bound_arguments(layer, node)
        tensor = given.pop("x")
        axes = graph.channel_axes(tensor)
        over = given_axes(layer.axis, len(tensor.shape))
        for axis in set(over) & set(axes):
            graph.mark_normalized_together(axes[axis], layer)
            for factor in given.values():
                _couple_factor(graph, factor, over.index(axis), axes[axis])
        copy_channel_axes(graph, tensor, node.outputs[0])


@handles_ops("BatchNorm")
class BatchNormOpHandler(Handler):
    """Normalizes each channel alone, by statistics that are given."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        given = bound_arguments(layer, node)
        tensor = given.pop("x")
        axis = layer.axis % len(tensor.shape)
        axes = graph.channel_axes(tensor)
        for factor in given.values() if axis in axes else ():
            _couple_factor(graph, factor, 0, axes[axis])
        copy_channel_axes(graph, tensor, node.outputs[0])


def _couple_factor(graph: Any, factor: Any, axis: int, ids: Any) -> None:
    shape = constant_shape(factor)
    if isinstance(factor, keras.KerasTensor):
        axis = min(axis, len(factor.shape) - 1)
        graph.couple(ids, graph.channels(factor, axis, alone=False))
    elif shape:
        graph.protect(ids, f"meets a constant of shape {shape}")
