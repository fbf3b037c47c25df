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

from keras_netopt.surgery.coupled_axis import IN, OUT, UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles
from keras_netopt.surgery.handlers.attention import (
    check_masks,
    update_projection,
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
        inputs = [(layer._query_dense, ids[0], queries)]
        inputs += [(layer._key_dense, ids[1], heads)]
        inputs += [(layer._value_dense, ids[2], heads)]
        if layer.use_gate:
            inputs += [(layer._gate_dense, ids[0], queries)]
        for dense, read, made in inputs:
            graph.couple_axis(layer, dense._kernel, 0, read, IN)
            scaled = dense is layer._query_dense
            for variable, axis in ((dense._kernel, 1), (dense.bias, 0)):
                value = "zeros" if variable is dense.bias else "random"
                graph.couple_axis(
                    layer, variable, axis, made, OUT, new_value=value
                )
                graph.couple_axis(
                    layer,
                    variable,
                    axis + 1,
                    size,
                    IN if scaled else OUT,
                    new_value=value,
                    power=0.5 if scaled else 0.0,
                )
        dense = layer._output_dense
        graph.couple_axis(layer, dense._kernel, 0, queries, IN)
        graph.couple_axis(layer, dense._kernel, 1, size, IN)
        output = graph.new_units(layer, layer.feature_dim, "output")
        graph.couple_axis(layer, dense._kernel, 2, output, OUT)
        graph.couple_axis(layer, dense.bias, 0, output, OUT, new_value="zeros")
        graph.couple(output, ids[0])
        graph.set_channels(node.outputs[0], -1, output)
        for scores in node.outputs[1:]:
            graph.set_channels(scores, 1, queries)

    def update_attributes(self, layer: Any, node: Any) -> None:
        _, layer.num_query_heads, layer.head_dim = (
            int(size) for size in layer._query_dense._kernel.shape
        )
        layer.num_key_value_heads = int(layer._key_dense._kernel.shape[1])
        layer._inverse_sqrt_head_dim = 1.0 / math.sqrt(float(layer.head_dim))
        layer.feature_dim = int(layer._output_dense._kernel.shape[2])
        for name in ("_query_dense", "_key_dense", "_value_dense"):
            update_projection(getattr(layer, name), 2, 0)
        if layer.use_gate:
            update_projection(layer._gate_dense, 2, 0)
        update_projection(layer._output_dense, 1, None)


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
