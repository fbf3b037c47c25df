"""The outputs of a call, where Keras' own answer is not the right one."""

from typing import Any

import keras

from keras_netopt.graph.graph_node import Args, Kwargs
from keras_netopt.graph.symbolic import is_static


def output_spec(operation: Any, args: Args, kwargs: Kwargs) -> Any:
    """Returns the outputs of a call as symbolic tensors."""
    if type(operation).__name__ == "DotProductAttention":
        # Keras 3.15 returns the width of the query instead of the value.
        query, _, value = args[:3]
        shape = (*query.shape[:-1], value.shape[-1])
        return keras.KerasTensor(shape, dtype=query.dtype)
    outputs = operation.compute_output_spec(*args, **kwargs)
    if is_static((args, kwargs)) and not is_static(outputs):
        # EinsumDense returns its configured, partly unknown shape.
        return keras.Operation.compute_output_spec(operation, *args, **kwargs)
    return outputs


class _Call(keras.Operation):
    """Calls a layer as its owner does, with its own dtype policy."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def call(self, *args: Any) -> Any:
        return self.layer(*args)


def traced_spec(layer: Any, *args: Any) -> Any:
    """Returns the outputs of a built layer's call as symbolic tensors.

    The call is traced: other than `compute_output_spec`, it fails on inputs
    that the layer does not take, and it reports the dtype that the layer
    computes. The layer does not change.
    """
    return _Call(layer).compute_output_spec(*args)
