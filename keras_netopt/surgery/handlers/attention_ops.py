"""The op `keras.ops.dot_product_attention`."""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles_ops
from keras_netopt.surgery.handlers.constants import (
    bound_arguments,
    constant_shape,
)
from keras_netopt.surgery.handlers.handler_tools import protect_axes


@handles_ops("DotProductAttention")
class DotProductAttentionHandler(Handler):
    """Heads are units, with the keys and values that they share.

    The size of a head stays: the op divides by its root, and Keras infers an
    output of the width of the query.
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        given = bound_arguments(layer, node)
        query, key, value = (given[name] for name in ("query", "key", "value"))
        if any(constant_shape(one) for one in (query, key, value)):
            raise UnsupportedLayer("attends to a constant")
        for tensor in (query, key, value):
            protect_axes(graph, layer, tensor, [3], "needs this size of heads")
        for tensor in (key, value):
            protect_axes(graph, layer, tensor, [1], "mixes channels")
        labels = graph.channel_axes(query)
        if any(2 in graph.channel_axes(one) for one in (query, key, value)):
            labels[2] = self._couple_heads(graph, query, key, value)
            for name in ("bias", "mask"):
                _check_heads(graph, given.get(name), labels[2])
        graph.set_channel_axes(
            node.outputs[0], labels, reason=graph.fixed_reason(query)
        )

    def _couple_heads(
        self, graph: Any, query: Any, key: Any, value: Any
    ) -> np.ndarray:
        heads = graph.channels(query, 2, alone=False)
        for tensor in (key, value):
            ids = graph.channels(tensor, 2, alone=False)
            times = len(heads) // len(ids)
            graph.couple(heads, np.repeat(ids, times))
            if times > 1:
                graph.mark_not_replicable(heads, "shares its keys and values")
        graph.axis_choices.mark_heads(heads)
        return heads


def _check_heads(graph: Any, mask: Any, heads: np.ndarray) -> None:
    """Couples the heads to a mask or bias for each of them."""
    if isinstance(mask, keras.KerasTensor):
        if len(mask.shape) == 4 and mask.shape[1] != 1:
            graph.couple(heads, graph.channels(mask, 1, alone=False))
        return
    shape = constant_shape(mask) or ()
    if len(shape) == 4 and shape[1] != 1:
        graph.protect(heads, f"meets a constant of shape {shape}")
