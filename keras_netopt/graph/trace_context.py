"""What the trace of a layer changes in Keras while it runs.

Private Keras names used here (tested on Keras 3.15): the name `Node` in
`keras.src.layers.layer`, `Layer._losses` and `_loss_ids`,
`Operation._inbound_nodes` and `_outbound_nodes`,
`StatelessScope.get_current_value` and `add_update`, `EinsumDense._kernel`.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras.src.layers import layer as layer_module


class VariableUse(keras.StatelessScope):
    """Notes the variables that are read and written inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.used: dict[int, Any] = {}

    def get_current_value(self, variable: Any) -> None:
        self.used[id(variable)] = variable

    def add_update(self, update: tuple[Any, Any]) -> None:
        self.used[id(update[0])] = update[0]


@contextlib.contextmanager
def restored_attributes(layers: list[Any]) -> Iterator[None]:
    """Restores the attributes of layers, among them those that `call` sets."""
    kept = {"_inbound_nodes", "_outbound_nodes"}
    held = [
        (one, dict(vars(one)), list(one._losses), set(one._loss_ids))
        for one in layers
    ]
    try:
        yield
    finally:
        for one, old, losses, ids in held:
            own = vars(one)
            for name in set(own) - kept - set(old):
                del own[name]
            own.update({k: v for k, v in old.items() if k not in kept})
            # A call of a model clears both.
            one._losses[:] = losses
            one._loss_ids.clear()
            one._loss_ids.update(ids)


@contextlib.contextmanager
def deferring_arrays() -> Iterator[None]:
    """Lets `array + tensor` call the operator of the symbolic tensor.

    JAX calls `__jax_array__` instead, which raises; code that adds a tensor
    to a constant cannot be traced then.
    """
    original = keras.KerasTensor.__jax_array__
    del keras.KerasTensor.__jax_array__
    try:
        yield
    finally:
        keras.KerasTensor.__jax_array__ = original


@contextlib.contextmanager
def without_nodes(operations: set[int]) -> Iterator[None]:
    """Creates no nodes for some layers, so that their outputs keep those of
    the calls inside. Keras has no hook for that; other layers and other
    threads get their nodes as usual.
    """
    original = layer_module.Node

    def make_node(operation: Any, **kwargs: Any) -> Any:
        if id(operation) in operations:
            return None
        return original(operation=operation, **kwargs)

    layer_module.Node = make_node
    try:
        yield
    finally:
        layer_module.Node = original


def einsum_dense_spec(layer: Any, inputs: Any, **kwargs: Any) -> Any:
    """Returns the output of `EinsumDense` by its equation.

    Keras returns the configured shape, which may be partly unknown.
    """
    left, made = layer.equation.replace(" ", "").split("->")
    read, kernel = left.split(",")
    free = len(inputs.shape) - len(read.replace("...", ""))
    digits = "0123456789"[:free]
    read = read.replace("...", digits)
    sizes = dict(zip(read, inputs.shape, strict=True))
    sizes.update(zip(kernel, layer._kernel.shape, strict=True))
    shape = tuple(sizes[letter] for letter in made.replace("...", digits))
    return keras.KerasTensor(shape, dtype=layer.compute_dtype)
