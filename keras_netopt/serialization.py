"""Registers classes with Keras under the name of this package."""

from typing import TypeVar

import keras

PACKAGE = "keras_netopt"
T = TypeVar("T", bound=type)


def export_class(cls: T) -> T:
    """Registers a class as `keras_netopt>Name` for Keras' saving.

    Example:

    >>> import keras
    >>> @export_class
    ... class Doubled:
    ...     def get_config(self):
    ...         return {}
    >>> keras.saving.get_registered_name(Doubled)
    'keras_netopt>Doubled'

    Args:
        cls: A class with `get_config`.

    Returns:
        The same class.
    """
    registered: T = keras.saving.register_keras_serializable(PACKAGE)(cls)
    return registered
