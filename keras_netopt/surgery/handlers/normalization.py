"""Normalizations: what mixes channels is marked so."""

from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from keras_netopt.surgery.graph.units import PASS, Unsupported
from keras_netopt.surgery.handlers.common import expect, input_of, keep_axes
from keras_netopt.surgery.handlers.registry import Handler, handles


def _scale(graph: Any, layer: Any, axis: int, ids: np.ndarray) -> None:
    gamma, beta = layer.gamma, getattr(layer, "beta", None)
    graph.bind(layer, gamma, axis, ids, PASS, fresh="ones")
    graph.bind(layer, beta, axis, ids, PASS, fresh="zeros")


@handles(keras.layers.BatchNormalization)
class BatchNormHandler(Handler):
    """Normalizes each channel alone."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        ids = graph.channels(input_of(graph, node), layer.axis)
        _scale(graph, layer, 0, ids)
        graph.bind(layer, layer.moving_mean, 0, ids, PASS, fresh="zeros")
        graph.bind(layer, layer.moving_variance, 0, ids, PASS, fresh="ones")
        keep_axes(graph, input_of(graph, node), node.outputs[0])

    def sync(self, layer: Any, node: Any) -> None:
        count = int(layer.moving_mean.shape[0])
        expect(layer, {layer.axis: count})


@handles(keras.layers.LayerNormalization, keras.layers.RMSNormalization)
class LayerNormHandler(Handler):
    """Computes one figure over its axes: a removal there is not exact."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        rank = len(tensor.shape)
        over = layer.axis if isinstance(layer.axis, list) else [layer.axis]
        over = [axis % rank for axis in over]
        for axis, ids in graph.axes(tensor).items():
            if axis in over:
                for variable, fresh in self._variables(layer):
                    place = over.index(axis)
                    graph.bind(layer, variable, place, ids, PASS, fresh=fresh)
                graph.mark_normed(ids, layer)
        keep_axes(graph, tensor, node.outputs[0])

    def _variables(self, layer: Any) -> list[tuple[Any, str]]:
        scale = getattr(layer, "gamma", getattr(layer, "scale", None))
        return [(scale, "ones"), (getattr(layer, "beta", None), "zeros")]


@handles(keras.layers.GroupNormalization)
class GroupNormHandler(Handler):
    """Normalizes groups of channels; whole groups can be removed exactly.

    With one group it is a normalization over all channels, with a group a
    channel each channel stands alone.
    """

    def __init__(self) -> None:
        self._sizes: WeakKeyDictionary[Any, int | None] = WeakKeyDictionary()

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        ids = graph.channels(tensor, layer.axis)
        size = len(ids) // layer.groups
        self._sizes[layer] = None if layer.groups == 1 else size
        if layer.groups == 1:
            graph.mark_normed(ids, layer)
        elif size > 1:
            groups = ids.reshape(layer.groups, size)
            for member in groups.T[1:]:
                graph.unite(groups[:, 0], member)
            graph.mark_rigid(ids, f"is a group of '{layer.name}'")
        _scale(graph, layer, 0, ids)
        keep_axes(graph, tensor, node.outputs[0])

    def sync(self, layer: Any, node: Any) -> None:
        shape = node.input_tensors[0].shape
        count = shape[layer.axis]
        size = self._sizes.get(layer, count // layer.groups)
        if size is not None:
            layer.groups = count // size
        expect(layer, {layer.axis: count})


@handles(keras.layers.UnitNormalization)
class UnitNormHandler(Handler):
    """Has no parameter to bind; passes labels of the other axes only."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        axes = layer.axis if isinstance(layer.axis, list) else [layer.axis]
        if {axis % len(tensor.shape) for axis in axes} & set(
            graph.axes(tensor)
        ):
            raise Unsupported("normalizes over channels")
        keep_axes(graph, tensor, node.outputs[0])
