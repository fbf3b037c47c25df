"""The layer, normalization and activation that new blocks are modeled on."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.model_graph import graph_outputs, is_graph_model
from keras_netopt.graph.recorded_calls import (
    find_consumers,
    is_model_output,
    list_calls,
    list_operations,
    list_siblings,
)
from keras_netopt.surgery.handlers.activations import is_elementwise

layers = keras.layers
NORMS = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.RMSNormalization,
)
ACTIVATIONS = (layers.ReLU, layers.LeakyReLU, layers.ELU, layers.PReLU)
_ACTIVATED = (
    layers.Dense,
    layers.EinsumDense,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)
_OPS = {
    name.title().replace("_", ""): name
    for name in "elu gelu leaky_relu relu relu6 selu sigmoid silu tanh".split()
}


@dataclass(frozen=True)
class TemplateBlock:
    """The calls of a layer and of the normalization and activation after it."""

    calls: tuple[GraphNode, ...]

    @classmethod
    def starting_at(cls, call: GraphNode) -> "TemplateBlock":
        """Follows a call to its activation."""
        calls = [call]
        while activation_of(calls[-1].operation) is None:
            consumers = find_consumers(calls[-1])
            if len(consumers) != 1 or is_model_output(calls[-1]):
                break
            (following,) = consumers
            operation = following.operation
            if len(following.input_tensors) != 1 or _call_count(following) > 1:
                break
            is_norm = isinstance(operation, NORMS)
            is_layer = isinstance(operation, _ACTIVATED)  # The next block's.
            if not is_norm and (is_layer or activation_of(operation) is None):
                break
            calls.append(following)
        return cls(tuple(calls))

    @property
    def layer(self) -> Any:
        """The first layer."""
        return self.calls[0].operation

    @property
    def last_call(self) -> GraphNode:
        """The last call of the block."""
        return self.calls[-1]

    @property
    def activation(self) -> Any:
        """The activation: a function, a layer, or `None`."""
        return activation_of(self.last_call.operation)

    @property
    def norm(self) -> Any:
        """The first normalization, or `None`."""
        found = [call.operation for call in self.calls]
        return next((one for one in found if isinstance(one, NORMS)), None)


def activation_of(operation: Any) -> Any:
    """Returns the activation of a layer or op, or `None`."""
    if isinstance(operation, ACTIVATIONS):
        return operation
    name = _OPS.get(type(operation).__name__)
    if not isinstance(operation, keras.Layer):
        return keras.activations.get(name) if name else None
    if not isinstance(operation, (layers.Activation, *_ACTIVATED)):
        return None
    found = operation.activation
    if isinstance(found, ACTIVATIONS):
        return found
    is_plain = found is None or found is keras.activations.linear
    return found if not is_plain and is_elementwise(found) else None


def _call_count(call: GraphNode) -> int:
    return sum(one is call.operation for one in list_operations(call.owner))


def find_template_layer(call: GraphNode) -> Any:
    """Finds the convolution or dense layer whose type a new layer takes.

    This is the nearest convolution upstream if the tensor has its rank, else
    the nearest layer with a dense kernel, or `None`. Raises ValueError if the
    tensor has rank 4 or more and no convolution is upstream.
    """
    rank = len(call.output.shape)
    for operation in _upstream(call):
        size = getattr(operation, "kernel_size", None)
        if size is not None and len(size) + 2 == rank:
            return operation
        if rank < 4 and isinstance(operation, layers.Dense):
            return operation
    if rank < 4:
        return None
    raise ValueError(
        f"There is no built-in block to insert after "
        f"'{call.operation.name}': no convolution is upstream of its "
        f"output of shape {call.output.shape}. Pass a function as `block`."
    )


def _upstream(call: GraphNode) -> list[Any]:
    """Lists the operations upstream, nearest first, also in nested models."""
    found, queue, seen = [], [call], set()
    while queue:
        here = queue.pop(0)
        if id(here.recorded) in seen:
            continue
        seen.add(id(here.recorded))
        if is_graph_model(here.operation):
            queue.insert(0, _last_call(here))
            continue
        found.append(here.operation)
        for tensor in here.input_tensors:
            queue += [
                one
                for one in list_siblings(here)
                if any(tensor is output for output in one.outputs)
            ]
    return found


def _last_call(call: GraphNode) -> GraphNode:
    """Returns the call inside a nested model that makes its first output."""
    output = graph_outputs(call.operation)[0]
    return next(
        one
        for one in list_calls(call.operation, call.owners)
        if any(tensor is output for tensor in one.outputs)
    )
