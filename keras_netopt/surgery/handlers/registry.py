"""Which handler knows which layer or op."""

from collections.abc import Callable
from typing import Any

from keras_netopt.surgery.graph.units import Unsupported

_LAYERS: dict[type, Any] = {}
_OPS: dict[str, Any] = {}


class Handler:
    """Says what a layer does with its channels.

    Subclass it, write the two methods and register the class for a layer:
    `bind` reads the labels of the inputs, binds the axes of the variables and
    labels the outputs; `sync` makes the attributes of the layer agree with
    its variables after their shapes have changed, in either direction.

    Example:

    >>> import keras
    >>> class Scale(keras.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.gain = self.add_weight(shape=(input_shape[-1],))
    ...     def call(self, inputs):
    ...         return inputs * self.gain
    >>> @register(Scale)
    ... class ScaleHandler(Handler):
    ...     def bind(self, graph, layer, node):
    ...         (tensor,) = node.input_tensors
    ...         ids = graph.channels(tensor, -1)
    ...         graph.bind(layer, layer.gain, 0, ids, "pass", fresh="ones")
    ...         graph.set_label(node.outputs[0], -1, ids)
    >>> isinstance(lookup(Scale()), ScaleHandler)
    True
    """

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        """Labels the outputs of one call and binds the layer's variables.

        Args:
            graph: The `ChannelGraph` under construction.
            layer: The layer or op.
            node: The call: `input_tensors`, `outputs`, `arguments`.

        Raises:
            Unsupported: If the call is one that it cannot follow.
        """
        raise Unsupported(f"{type(self).__name__} has no `bind`")

    def sync(self, layer: Any, node: Any) -> None:
        """Makes the attributes of a layer agree with its variables.

        Args:
            layer: The layer or op.
            node: The call; its inputs have their new shapes already, its
                outputs still the old ones.
        """


def register(layer_class: type, handler: Any = None) -> Any:
    """Registers a handler for a layer class and its subclasses.

    Subclasses that define a `call` of their own are not covered: they need a
    handler of their own.

    Example:

    >>> import keras
    >>> class Doubled(keras.layers.Layer):
    ...     def call(self, inputs):
    ...         return 2 * inputs
    >>> from keras_netopt.surgery.handlers.elementwise import Elementwise
    >>> register(Doubled, Elementwise).__name__
    'Elementwise'

    Args:
        layer_class: A subclass of `keras.layers.Layer`.
        handler: A class with `bind` and `sync`, or an object of one. Defaults
            to `None`: a decorator for such a class is returned.

    Returns:
        The handler as it came, or the decorator.

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
    for method in ("bind", "sync"):
        if not callable(getattr(handler, method, None)):
            raise TypeError(
                f"Argument `handler` must have the method `{method}`. "
                f"Received: handler={handler!r}"
            )
    _LAYERS[layer_class] = _instance(handler)
    return handler


def handles(*layer_classes: type) -> Callable[[type], type]:
    """Registers one handler for several layer classes."""

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


def lookup(operation: Any) -> Any:
    """Finds the handler of a layer or op.

    Example:

    >>> import keras
    >>> type(lookup(keras.layers.Dense(2))).__name__
    'DenseHandler'
    >>> lookup(keras.layers.Lambda(abs)) is None
    True

    Args:
        operation: A layer, or an op of `keras.ops`.

    Returns:
        The handler, or `None` where there is none.
    """
    if type(operation).__module__.startswith("keras.src.ops"):
        return _OPS.get(type(operation).__name__)
    for one in type(operation).__mro__:
        if one in _LAYERS:
            return _LAYERS[one]
        if "call" in vars(one):
            return None
    return None


def _instance(handler: Any) -> Any:
    return handler() if isinstance(handler, type) else handler
