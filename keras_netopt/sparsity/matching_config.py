"""Writes `include` and `exclude` patterns so that JSON can hold them."""

import re
from typing import Any

import keras

_CLASS = "layer_class"
_FUNCTION = "function"


def to_config(value: Any) -> Any:
    """Returns a JSON-safe form of a pattern or a list of patterns.

    A layer becomes the regular expression of its name, which matches it in
    every copy of the model.

    Example:

    >>> import keras
    >>> layer = keras.layers.Dense(1, name="a")
    >>> to_config(["first", keras.layers.Conv2D, layer])
    ['first', {'layer_class': 'Conv2D'}, '(^|/)a/']

    Args:
        value: What `select` accepts.

    Returns:
        Strings, dicts, lists or `None`.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [to_config(pattern) for pattern in value]
    if isinstance(value, type):
        return {_CLASS: keras.saving.get_registered_name(value)}
    if isinstance(value, keras.Layer):
        return f"(^|/){re.escape(value.name)}/"
    return {_FUNCTION: keras.saving.get_registered_name(value)}


def from_config(config: Any) -> Any:
    """Returns the patterns that `to_config` wrote.

    Example:

    >>> from_config([{"layer_class": "Conv2D"}])[0].__name__
    'Conv2D'

    Args:
        config: What `to_config` returned.

    Returns:
        Patterns that `select` accepts.

    Raises:
        ValueError: If a layer class is neither Keras' nor registered, or a
            function is not registered.
    """
    if isinstance(config, list):
        return [from_config(pattern) for pattern in config]
    if isinstance(config, dict) and _CLASS in config:
        name = config[_CLASS]
        found = getattr(keras.layers, name, None)
        found = found or keras.saving.get_registered_object(name)
        if found is None:
            raise ValueError(
                "A layer class in `include` or `exclude` must be one of Keras "
                "or registered with keras.saving.register_keras_serializable. "
                f"Received: {_CLASS}={name!r}"
            )
        return found
    if isinstance(config, dict):
        name = config[_FUNCTION]
        found = keras.saving.get_registered_object(name)
        if found is None:
            raise ValueError(
                "A function in `include` or `exclude` must be registered "
                "with keras.saving.register_keras_serializable to come back "
                f"from a config. Received: {_FUNCTION}={name!r}"
            )
        return found
    return config
