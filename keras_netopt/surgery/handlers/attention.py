"""Multi-head attention.

Private names of Keras 3.15: the projections of `MultiHeadAttention`
(`_query_dense`, `_key_dense`, `_value_dense`, `_gate_dense`,
`_output_dense`), `EinsumDense._kernel`, and `_num_heads`, `_key_dim`,
`_value_dim`, `_dropout`, `_inverse_sqrt_key_dim`, `_output_shape`,
`Layer._build_shapes_dict`.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import IN, OUT, UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles
from keras_netopt.surgery.handlers.handler_tools import tensor_inputs

KEY, VALUE = "key_size", "value_size"


@handles(keras.layers.MultiHeadAttention)
class AttentionHandler(Handler):
    """Default units are heads; the sizes of a head are further kinds.

    A unit of kind `"value_size"` is one entry of the values of all heads. A
    unit of kind `"key_size"` is one entry of the queries and keys of all
    heads: the key makes it, the query takes it as input, and the weights of
    the query compensate for the division by the root of the key size.
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        given = _arguments(layer, node)
        query, value = given["query"], given["value"]
        key = value if given.get("key") is None else given["key"]
        check_masks(graph, given, node)
        ids = [graph.channels(t, -1) for t in (query, key, value)]
        heads = graph.new_units(layer, layer._num_heads)
        keys = graph.new_units(layer, layer._key_dim, KEY)
        values = graph.new_units(layer, layer._value_dim, VALUE)
        if _must_agree(layer, node):
            graph.couple(keys, values)
        couple_inputs(graph, layer, ids, (heads, heads), (keys, values))
        made = couple_outputs(graph, layer, node, heads, values)
        if not layer._output_shape:
            graph.couple(made, ids[0])

    def update_attributes(self, layer: Any, node: Any) -> None:
        kernel = layer._query_dense._kernel.shape
        layer._num_heads, layer._key_dim = int(kernel[1]), int(kernel[2])
        layer._value_dim = int(layer._value_dense._kernel.shape[2])
        layer._inverse_sqrt_key_dim = 1.0 / math.sqrt(float(layer._key_dim))
        update_projections(layer)
        if layer._output_shape:
            layer._output_shape = (int(layer._output_dense._kernel.shape[2]),)


def couple_inputs(
    graph: Any,
    layer: Any,
    reads: Sequence[np.ndarray],
    heads: tuple[np.ndarray, np.ndarray],
    sizes: tuple[np.ndarray, np.ndarray],
) -> None:
    """Couples the projections of queries, keys, values and their gate.

    `reads` are the channels of query, key and value, `heads` the heads of
    queries and of keys, `sizes` the entries of keys and of values in a head.
    """
    inputs = [
        (layer._query_dense, reads[0], heads[0], sizes[0]),
        (layer._key_dense, reads[1], heads[1], sizes[0]),
        (layer._value_dense, reads[2], heads[1], sizes[1]),
        (getattr(layer, "_gate_dense", None), reads[0], heads[0], sizes[1]),
    ]
    for dense, read, made, size in inputs:
        if dense is None:
            continue
        graph.couple_axis(layer, dense._kernel, 0, read, IN)
        scaled = dense is layer._query_dense
        for variable, axis in ((dense._kernel, 1), (dense.bias, 0)):
            new_value = "zeros" if variable is dense.bias else "random"
            graph.couple_axis(
                layer, variable, axis, made, OUT, new_value=new_value
            )
            graph.couple_axis(
                layer,
                variable,
                axis + 1,
                size,
                IN if scaled else OUT,
                new_value=new_value,
                power=0.5 if scaled else 0.0,
            )


def couple_outputs(
    graph: Any, layer: Any, node: Any, heads: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """Couples the projection of the output; returns its channels."""
    dense = layer._output_dense
    if len(dense._kernel.shape) != 3:
        raise UnsupportedLayer("makes an output of several axes")
    graph.couple_axis(layer, dense._kernel, 0, heads, IN)
    graph.couple_axis(layer, dense._kernel, 1, size, IN)
    width = int(dense._kernel.shape[2])
    made: np.ndarray = graph.new_units(layer, width, "output")
    graph.couple_axis(layer, dense._kernel, 2, made, OUT)
    graph.couple_axis(layer, dense.bias, 0, made, OUT, new_value="zeros")
    graph.set_channels(node.outputs[0], -1, made)
    for scores in node.outputs[1:]:
        graph.set_channels(scores, 1, heads)
    return made


def update_projections(layer: Any) -> None:
    """Sets the shapes of all projections from their kernels."""
    for name in ("_query_dense", "_key_dense", "_value_dense", "_gate_dense"):
        if getattr(layer, name, None) is not None:
            _update_projection(getattr(layer, name), 2, 0)
    _update_projection(layer._output_dense, 1, None)


def _must_agree(layer: Any, node: Any) -> bool:
    """Whether the fused kernel of JAX needs keys and values of one size."""
    fused = layer._dropout == 0 and len(node.outputs) == 1
    return fused and keras.backend.backend() == "jax"


def _arguments(layer: Any, node: Any) -> dict[str, Any]:
    names = ("query", "value", "key")
    args = node.arguments.args
    given = dict(zip(names, args, strict=False))
    given.update(node.arguments.kwargs)
    return given


def check_masks(graph: Any, given: dict[str, Any], node: Any) -> None:
    """Raises for masks of channels and masks of each head."""
    used = [given.get(name) for name in ("query", "value", "key")]
    tensor_inputs(graph, node)
    for tensor in node.input_tensors:
        if any(tensor is one for one in used):
            continue
        if len(tensor.shape) > 3 and tensor.shape[1] != 1:
            raise UnsupportedLayer("is called with a mask for each head")


def _update_projection(dense: Any, made: int, read: int | None) -> None:
    """Updates the attributes of a projection of an attention layer."""
    sizes = [int(size) for size in dense._kernel.shape]
    shape = dense.partial_output_shape
    dense.partial_output_shape = (*shape[:-made], *sizes[-made:])
    shapes = dense._build_shapes_dict or {}
    last = sizes[:1] if read == 0 else sizes[:2]
    dense._build_shapes_dict = {
        name: (*old[: -len(last)], *last) for name, old in shapes.items()
    }
