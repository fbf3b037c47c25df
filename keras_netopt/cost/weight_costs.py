"""Counts the weights of a model whose calls cannot be counted."""

import math
import re

import keras

from keras_netopt.cost.cost_report import CostReport, LayerCost
from keras_netopt.cost.packed_weights import count_zeros
from keras_netopt.graph.layers import own_variables, walk_paths


def summarize_weights(model: keras.Model, reason: str) -> CostReport:
    """Counts parameters, zeros and bytes, layer by layer, and no MACs.

    Args:
        model: A model whose weights exist.
        reason: Why the MACs are unknown, the note of each layer.

    Returns:
        The report; `macs` of each layer is `None`.
    """
    rows, seen = [], set[int]()
    for path, layer in walk_paths(model):
        weights = [v for v in own_variables(layer) if id(v) not in seen]
        seen.update(map(id, weights))
        if weights:
            params, zeros = count_zeros(layer, weights)
            rows.append(
                LayerCost(
                    name=path or model.name,
                    kind=type(layer).__name__,
                    output_shapes=(),
                    params=params,
                    nonzero=params - zeros,
                    bytes=sum(
                        math.prod(v.shape) * itemsize(v) for v in weights
                    ),
                    macs=None,
                    calls=0,
                    note=reason,
                )
            )
    return CostReport(model.name, tuple(rows))


def itemsize(variable: keras.Variable) -> int:
    """Returns the bytes of one element; a packed one counts a whole byte."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    bits = re.search(r"\d+", dtype)
    return int(bits.group()) // 8 if bits else 1
