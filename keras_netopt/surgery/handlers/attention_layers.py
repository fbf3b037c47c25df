"""Grouped-query, dot-product and additive attention, and the layer Dot.

Private names of Keras 3.15: the projections of `GroupedQueryAttention`
(`_query_dense`, `_key_dense`, `_value_dense`, `_gate_dense`,
`_output_dense`), its `_inverse_sqrt_head_dim`, `EinsumDense._kernel`, and
`Layer._build_shapes_dict`.
"""

import math
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import IN, UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles
from keras_netopt.surgery.handlers.attention import (
    check_masks,
    couple_inputs,
    couple_outputs,
    update_projections,
)
from keras_netopt.surgery.handlers.constants import bound_arguments
from keras_netopt.surgery.handlers.contraction import (
    contract_activations,
    trace_product,
)

L = keras.layers
SIZE = "head_size"


@handles(L.GroupQueryAttention)
class GroupedQueryAttentionHandler(Handler):
    """Default units are heads of keys and values, with their queries.

    A unit of kind `"head_size"` is one entry of the queries, keys and values
    of all heads. The query takes it as input, and its weights compensate for
    the division by the root of the size. The output is as wide as the query.
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        given = bound_arguments(layer, node)
        query, value = given["query"], given["value"]
        key = value if given.get("key") is None else given["key"]
        check_masks(graph, {**given, "key": key}, node)
        ids = [graph.channels(t, -1) for t in (query, key, value)]
        graph.couple(ids[0], ids[2])
        heads = graph.new_units(layer, layer.num_key_value_heads)
        size = graph.new_units(layer, layer.head_dim, SIZE)
        queries: np.ndarray = np.repeat(heads, layer.num_repeats)
        if layer.num_repeats > 1:
            reason = f"has several queries in '{layer.name}'"
            graph.mark_not_replicable(heads, reason)
        couple_inputs(graph, layer, ids, (queries, heads), (size, size))
        output = couple_outputs(graph, layer, node, queries, size)
        graph.couple(output, ids[0])

    def update_attributes(self, layer: Any, node: Any) -> None:
        _, layer.num_query_heads, layer.head_dim = (
            int(size) for size in layer._query_dense._kernel.shape
        )
        layer.num_key_value_heads = int(layer._key_dense._kernel.shape[1])
        layer._inverse_sqrt_head_dim = 1.0 / math.sqrt(float(layer.head_dim))
        layer.feature_dim = int(layer._output_dense._kernel.shape[2])
        update_projections(layer)


@handles(L.Attention, L.AdditiveAttention)
class DotAttentionHandler(Handler):
    """Compares queries with keys: their units are coupled."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        given = bound_arguments(layer, node)["inputs"]
        query, value, key = (*given, given[1])[:3]
        queries, keys, values = (
            graph.channels(t, -1) for t in (query, key, value)
        )
        graph.couple(queries, keys)
        scale = getattr(layer, "scale", None)
        if scale is not None and len(scale.shape) == 1:
            graph.couple_axis(layer, scale, 0, queries, IN)
        else:
            contract_activations(graph, layer, queries)
        graph.set_channels(node.outputs[0], -1, values)


@handles(L.Dot)
class DotHandler(Handler):
    """Multiplies two tensors and adds up along an axis of each."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        operands, output = list(node.input_tensors), node.outputs[0]
        axes = layer.axes
        over = (axes, axes) if isinstance(axes, int) else tuple(axes)
        if layer.normalize and any(map(graph.channel_axes, operands)):
            raise UnsupportedLayer("normalizes over channels")
        labels: list[list[Any]] = []
        for side, (tensor, axis) in enumerate(zip(operands, over, strict=True)):
            names: list[Any] = [(side, k) for k in range(len(tensor.shape))]
            names[0], names[axis] = "batch", "sum"
            labels.append(names)
        made = [one for one in labels[0] if one != "sum"]
        made += [one for one in labels[1] if one not in ("sum", "batch")]
        trace_product(graph, layer, operands, labels, made, output)
