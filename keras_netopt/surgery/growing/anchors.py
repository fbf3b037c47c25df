"""Where a block can stand, and the layers that it is made like.

Private names of Keras 3.15: `Functional._outputs`.
"""

from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.surgery.graph.names import functional, nodes
from keras_netopt.surgery.growing.insert import InsertionPoint, places
from keras_netopt.surgery.handlers.common import acts_alone
from keras_netopt.training.graph import is_graph_model

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
class Anchor:
    """A layer with the normalization and the activation behind it.

    Args:
        chain: The calls, the layer's first.
    """

    chain: tuple[InsertionPoint, ...]

    @classmethod
    def at(cls, place: InsertionPoint) -> "Anchor":
        """Follows a call to the end of its activation."""
        chain = [place]
        while activation_of(chain[-1].node.operation) is None:
            readers = chain[-1].consumers()
            if len(readers) != 1 or chain[-1].is_output():
                break
            following = InsertionPoint(place.owner, readers[0])
            operation = following.node.operation
            if len(following.node.input_tensors) != 1 or _calls(following) > 1:
                break
            is_norm = isinstance(operation, NORMS)
            is_own = isinstance(operation, _ACTIVATED)  # The next layer's.
            if not is_norm and (is_own or activation_of(operation) is None):
                break
            chain.append(following)
        return cls(tuple(chain))

    @property
    def layer(self) -> Any:
        """The layer itself."""
        return self.chain[0].node.operation

    @property
    def end(self) -> InsertionPoint:
        """The last call of the chain."""
        return self.chain[-1]

    @property
    def activation(self) -> Any:
        """The activation: a function, a layer, or `None`."""
        return activation_of(self.end.node.operation)

    @property
    def norm(self) -> Any:
        """The first normalization, or `None`."""
        found = [p.node.operation for p in self.chain]
        return next((one for one in found if isinstance(one, NORMS)), None)


def activation_of(operation: Any) -> Any:
    """Returns what activates the output of a layer or op, `None` if nothing."""
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
    return found if not is_plain and acts_alone(found) else None


def _calls(place: InsertionPoint) -> int:
    calls = nodes(place.graph)
    return sum(node.operation is place.node.operation for node in calls)


def nearest(place: InsertionPoint) -> Any:
    """Finds the convolution or dense layer that a tensor comes from.

    Args:
        place: A call.

    Returns:
        The nearest convolution upstream if the tensor has its rank, else
        the nearest layer with a dense kernel, or `None`.

    Raises:
        ValueError: If the tensor looks like an image and no convolution
            leads to it.
    """
    rank = len(place.tensor.shape)
    for operation in _upstream(place):
        size = getattr(operation, "kernel_size", None)
        if size is not None and len(size) + 2 == rank:
            return operation
        if rank < 4 and isinstance(operation, layers.Dense):
            return operation
    if rank < 4:
        return None
    raise ValueError(
        f"No block is known behind '{place.node.operation.name}': no "
        f"convolution leads to its output of shape {place.tensor.shape}. "
        "Pass a function as `block`."
    )


def _upstream(place: InsertionPoint) -> list[Any]:
    """Lists what a call depends on, nearest first, nested models opened."""
    found, queue, seen = [], [place], set()
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
                for node in nodes(here.graph)
                if any(tensor is one for one in node.outputs)
            ]
    return found


def _last_call(model: Any) -> InsertionPoint:
    output = functional(model)._outputs[0]
    return next(
        place
        for place in places(model)
        if any(one is output for one in place.node.outputs)
    )
