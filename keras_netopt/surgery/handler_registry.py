"""Registry of handlers by layer class and op."""

from collections.abc import Callable
from typing import Any

import keras

from keras_netopt.graph.layers import sublayers
from keras_netopt.surgery.coupled_axis import UnsupportedLayer

_LAYERS: dict[type, Any] = {}
_OPS: dict[str, Any] = {}


class Handler:
    """Traces the channels of a layer type; subclass it for a custom layer.

    Subclass it, write the two methods and register the class for a layer:
    `trace` reads the channels of the inputs, couples the axes of the variables
    to them and sets the channels of the outputs; `update_attributes` updates
    the attributes of the layer after the shapes of its variables change.

    Example:

    >>> import keras
    >>> class Scale(keras.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.gain = self.add_weight(shape=(input_shape[-1],))
    ...     def call(self, inputs):
    ...         return inputs * self.gain
    >>> @register(Scale)
    ... class ScaleHandler(Handler):
    ...     def trace(self, graph, layer, node):
    ...         (tensor,) = node.input_tensors
    ...         ids = graph.channels(tensor, -1)
    ...         graph.couple_axis(
    ...             layer, layer.gain, 0, ids, "pass", new_value="ones"
    ...         )
    ...         graph.set_channels(node.outputs[0], -1, ids)
    >>> isinstance(find_handler(Scale()), ScaleHandler)
    True
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        """Sets the channels of the outputs and couples the layer's variables.

        Args:
            graph: The `ChannelGraph` under construction.
            layer: The layer or op.
            node: The call: `input_tensors`, `outputs`, `arguments`.

        Raises:
            UnsupportedLayer: If the call is not supported.
        """
        raise UnsupportedLayer(f"{type(self).__name__} has no `trace`")

    def update_attributes(self, layer: Any, node: Any) -> None:
        """Updates the attributes of a layer after its variables change.

        Args:
            layer: The layer or op.
            node: The call; its inputs have the new shapes, its outputs the
                old ones.
        """


def register(layer_class: type, handler: Any = None) -> Any:
    """Registers a handler for a layer class and its subclasses.

    Subclasses that override `call` are not covered: they need their own
    handler.

    Example:

    >>> import keras
    >>> class Doubled(keras.layers.Layer):
    ...     def call(self, inputs):
    ...         return 2 * inputs
    >>> from keras_netopt.surgery.handlers.elementwise import ElementwiseHandler
    >>> register(Doubled, ElementwiseHandler).__name__
    'ElementwiseHandler'

    Args:
        layer_class: A subclass of `keras.layers.Layer`.
        handler: A class with `trace` and `update_attributes`, or an instance
            of one. Defaults to `None`: a decorator for such a class is
            returned.

    Returns:
        The handler, unchanged, or the decorator.

    Raises:
        TypeError: If `layer_class` is not a class, or the handler lacks a
            method.
    """
    if not isinstance(layer_class, type):
        raise TypeError(
            "Argument `layer_class` must be a class. "
            f"Received: layer_class={layer_class!r}"
        )
    if handler is None:
        return lambda given: register(layer_class, given)
    for method in ("trace", "update_attributes"):
        if not callable(getattr(handler, method, None)):
            raise TypeError(
                f"Argument `handler` must have the method `{method}`. "
                f"Received: handler={handler!r}"
            )
    is_class = isinstance(handler, type)
    _LAYERS[layer_class] = handler() if is_class else handler
    return handler


def handles(*layer_classes: type) -> Callable[[type], type]:
    """Registers one handler for several layer groups."""

    def decorate(handler: type) -> type:
        one = handler()
        for layer_class in layer_classes:
            register(layer_class, one)
        return handler

    return decorate


def handles_ops(*names: str) -> Callable[[type], type]:
    """Registers one handler for ops of `keras.ops`, by their class names."""

    def decorate(handler: type) -> type:
        one = handler()
        for name in names:
            _OPS[name] = one
        return handler

    return decorate


def find_handler(operation: Any) -> Any:
    """Returns the handler of a layer or an op of `keras.ops`, or `None`."""
    if type(operation).__module__.startswith("keras.src.ops"):
        return _OPS.get(type(operation).__name__)
    for one in type(operation).__mro__:
        if one in _LAYERS:
            return _LAYERS[one]
        if "call" in vars(one):
            return None
    return None


def check_plain_weights(operation: Any, *, inner: bool = True) -> None:
    """Raises for quantized weights and LoRA adapters.

    `inner` is whether the layers inside are checked as well.
    """
    if isinstance(operation, keras.Model):
        return
    for layer in [operation, *(sublayers(operation) if inner else ())]:
        if getattr(layer, "lora_enabled", False):
            raise UnsupportedLayer("has LoRA weights")
        if getattr(layer, "quantization_mode", None):
            raise UnsupportedLayer("is quantized")
