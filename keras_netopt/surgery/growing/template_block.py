"""The layer, normalization and activation that new blocks are modeled on."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.graph.insert_block import (
    InsertionPoint,
    insertion_points,
)
from keras_netopt.graph.model_graph import (
    graph_outputs,
    is_graph_model,
    ordered_nodes,
)
from keras_netopt.surgery.handlers.handler_tools import is_elementwise

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

    calls: tuple[InsertionPoint, ...]

    @classmethod
    def starting_at(cls, point: InsertionPoint) -> "TemplateBlock":
        """Follows a call to its activation."""
        calls = [point]
        while activation_of(calls[-1].node.operation) is None:
            consumers = calls[-1].consumers()
            if len(consumers) != 1 or calls[-1].is_output():
                break
            following = InsertionPoint(point.owner, consumers[0])
            operation = following.node.operation
            if (
                len(following.node.input_tensors) != 1
                or _call_count(following) > 1
            ):
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
        return self.calls[0].node.operation

    @property
    def last_call(self) -> InsertionPoint:
        """The last call of the block."""
        return self.calls[-1]

    @property
    def activation(self) -> Any:
        """The activation: a function, a layer, or `None`."""
        return activation_of(self.last_call.node.operation)

    @property
    def norm(self) -> Any:
        """The first normalization, or `None`."""
        found = [p.node.operation for p in self.calls]
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


def _call_count(point: InsertionPoint) -> int:
    nodes = ordered_nodes(point.graph)
    return sum(node.operation is point.node.operation for node in nodes)


def find_template_layer(point: InsertionPoint) -> Any:
    """Finds the convolution or dense layer whose type a new layer takes.

    This is the nearest convolution upstream if the tensor has its rank, else
    the nearest layer with a dense kernel, or `None`. Raises ValueError if the
    tensor has rank 4 or more and no convolution is upstream.
    """
    rank = len(point.tensor.shape)
    for operation in _upstream(point):
        size = getattr(operation, "kernel_size", None)
        if size is not None and len(size) + 2 == rank:
            return operation
        if rank < 4 and isinstance(operation, layers.Dense):
            return operation
    if rank < 4:
        return None
    raise ValueError(
        f"There is no built-in block to insert after "
        f"'{point.node.operation.name}': no convolution is upstream of its "
        f"output of shape {point.tensor.shape}. Pass a function as `block`."
    )


def _upstream(point: InsertionPoint) -> list[Any]:
    """Lists the operations upstream, nearest first, also in nested models."""
    found, queue, seen = [], [point], set()
    while queue:
        here = queue.pop(0)
        if id(here.node) in seen:
            continue
        seen.add(id(here.node))
        operation = here.node.operation
        if is_graph_model(operation):
            queue.insert(0, _last_call(operation))
            continue
        found.append(operation)
        for tensor in here.node.input_tensors:
            queue += [
                InsertionPoint(here.owner, node)
                for node in ordered_nodes(here.graph)
                if any(tensor is one for one in node.outputs)
            ]
    return found


def _last_call(model: Any) -> InsertionPoint:
    output = graph_outputs(model)[0]
    return next(
        point
        for point in insertion_points(model)
        if any(one is output for one in point.node.outputs)
    )
