"""Multi-head attention: heads that nobody reads, or that are constant.

Private names of Keras 3.15: the projections of `MultiHeadAttention`
(`_query_dense`, `_key_dense`, `_value_dense`, `_output_dense`).
"""

from typing import Any

import numpy as np

from keras_netopt.surgery.compacting.flow_rule import FlowRule
from keras_netopt.surgery.compacting.read_edge import (
    FoldTarget,
    LinearMap,
    ReadEdge,
    read_weight,
)
from keras_netopt.surgery.compacting.tensor_facts import TensorFacts


class AttentionRule(FlowRule):
    """Attention weights add up to 1: constant values make a constant head."""

    is_known = True

    def __init__(self, call: Any, facts: TensorFacts) -> None:
        super().__init__(call, facts)
        self.layer = call.layer
        given = dict(
            zip(("query", "value", "key"), call.node.args, strict=False)
        )
        given.update(call.node.kwargs)
        self._query, self._value = given["query"], given["value"]
        key = given.get("key")
        self._key = self._value if key is None else key
        self._output = call.outputs[0]
        kernel = read_weight(self.layer._output_dense.kernel)
        self._heads, self._size, self._width = kernel.shape
        self._kernel = kernel

    def forward(self) -> None:
        deltas = self._head_deltas()
        total = deltas.sum(axis=0)
        bias = self.layer._output_dense.bias
        if bias is not None:
            total = total + read_weight(bias)
        self.facts.set_values(self._output, total)

    def backward(self) -> None:
        for tensor, edge in zip(
            (self._query, self._key, self._value), self._reads(), strict=True
        ):
            self.facts.use(tensor, edge.needed, len(tensor.shape) - 1)
        known = {id(one) for one in (self._query, self._key, self._value)}
        for tensor in self.call.inputs:
            if id(tensor) not in known:  # A mask.
                self.facts.use(tensor)

    def edges(self) -> list[ReadEdge]:
        dense = self.layer._output_dense
        bias = None if dense.bias is None else FoldTarget(dense.bias)
        deltas = self._head_deltas()
        varies = np.isnan(self._constants()).any(axis=1)
        heads = ReadEdge(
            self.layer,
            dense.kernel,
            0,
            self._needed_heads(),
            deltas,
            np.where(varies, np.nan, 1.0),
            bias,
        )
        return [*self._reads(), heads]

    def _needed_heads(self) -> np.ndarray:
        axis = len(self._output.shape) - 1
        used = self.facts.used(self._output, axis, self._width)
        needed = (self._kernel != 0) & used[None, None]
        return np.asarray(needed.any(axis=(1, 2)))

    def _constants(self) -> np.ndarray:
        """Returns the output of each head, NaN where it varies."""
        one = self._projection(self.layer._value_dense)
        made = one.deltas(self._values(self._value, one)).sum(axis=0)
        bias = self.layer._value_dense.bias
        if bias is not None:
            made = made + read_weight(bias).reshape(-1)
        return np.asarray(made.reshape(self._heads, self._size))

    def _head_deltas(self) -> np.ndarray:
        """Returns what each head adds to the outputs, NaN if it varies."""
        made, kernel = self._constants(), self._kernel
        varies = np.isnan(made)
        known = np.einsum("hd,hdo->ho", np.where(varies, 0, made), kernel)
        lost = (varies[..., None] & (kernel != 0)).any(axis=1)
        return np.where(lost, np.nan, known)

    def _projection(self, dense: Any) -> LinearMap:
        kernel = read_weight(dense.kernel)
        flat = kernel.reshape(kernel.shape[0], -1)
        target = None if dense.bias is None else FoldTarget(dense.bias)
        return LinearMap(self.layer, dense.kernel, 0, flat != 0, flat, target)

    def _reads(self) -> list[ReadEdge]:
        """Returns how query, key and value read their inputs."""
        used, found = self._needed_heads(), []
        layer = self.layer
        for tensor, dense in (
            (self._query, layer._query_dense),
            (self._key, layer._key_dense),
            (self._value, layer._value_dense),
        ):
            one = self._projection(dense)
            size = one.reads.shape[1] // self._heads
            values = self._values(tensor, one)
            found.append(one.edge(values, np.repeat(used, size)))
        return found

    def _values(self, tensor: Any, one: LinearMap) -> np.ndarray:
        size = one.reads.shape[0]
        return self.facts.values(tensor, len(tensor.shape) - 1, size)
