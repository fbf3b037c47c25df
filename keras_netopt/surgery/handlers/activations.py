"""Activations: which functions act on each entry alone."""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.function_calls import list_function_calls
from keras_netopt.surgery.handler_registry import (
    Handler,
    find_handler,
    handles,
)
from keras_netopt.surgery.handlers.constants import (
    attribute_shapes,
    constant_shapes,
)
from keras_netopt.surgery.handlers.elementwise import ElementwiseHandler
from keras_netopt.surgery.handlers.handler_tools import (
    copy_channel_axes,
    single_input,
)
from keras_netopt.surgery.handlers.merging import MergeOpHandler

_ALONE = (
    "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish "
    "hard_tanh leaky_relu linear log_sigmoid mish relu relu6 selu sigmoid "
    "silu soft_shrink softplus softsign sparse_plus sparse_sigmoid "
    "squareplus swish tanh tanh_shrink threshold"
).split()
_FUNCTIONS = [
    getattr(module, name)
    for name in _ALONE
    for module in (keras.activations, keras.ops)
    if hasattr(module, name)
]
ACTIVATION_LAYERS = (
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
)


def is_elementwise(function: Any) -> bool:
    """Returns whether an activation acts on each entry alone.

    A function that is not one of Keras' is traced: it may call ops that are
    elementwise, with constants of one entry.

    Example:

    >>> is_elementwise(lambda x: x * keras.ops.sigmoid(1.702 * x))
    True
    >>> is_elementwise(lambda x: x - keras.ops.mean(x, axis=-1, keepdims=True))
    False
    """
    if function is None or any(function is one for one in _FUNCTIONS):
        return True
    if isinstance(function, keras.layers.Layer):
        return type(function) in ACTIVATION_LAYERS
    if getattr(keras.activations, _name(function), None) is function:
        return False
    calls = list_function_calls(function)
    return calls is not None and all(map(_is_elementwise_call, calls))


def _is_elementwise_call(node: Any) -> bool:
    handler = find_handler(node.operation)
    shapes = [*constant_shapes(node), *attribute_shapes(node.operation)]
    return isinstance(handler, (ElementwiseHandler, MergeOpHandler)) and all(
        np.prod(shape) == 1 for shape in shapes
    )


def check_activation(graph: Any, layer: Any, ids: np.ndarray) -> None:
    """Protects units unless the activation is known to be elementwise."""
    for attribute in ("activation", "recurrent_activation"):
        function = getattr(layer, attribute, None)
        if not is_elementwise(function):
            graph.protect(
                ids,
                f"passes the activation '{_name(function)}' of "
                f"{type(layer).__name__} '{layer.name}', which may mix "
                "channels",
            )


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


@handles(keras.layers.Activation)
class ActivationHandler(Handler):
    """Copies the channels if the activation is elementwise."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = single_input(graph, node)
        if graph.channel_axes(tensor) and not is_elementwise(layer.activation):
            raise UnsupportedLayer(
                f"has the activation '{_name(layer.activation)}', which may "
                "mix channels"
            )
        copy_channel_axes(graph, tensor, node.outputs[0])
