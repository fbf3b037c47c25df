"""Registers classes with Keras under the name of this package."""

from typing import TypeVar

import keras

PACKAGE = "keras_netopt"
T = TypeVar("T", bound=type)


def export_class(cls: T) -> T:
    """Registers a class as `keras_netopt>Name` for Keras' saving."""
    registered: T = keras.saving.register_keras_serializable(PACKAGE)(cls)
    return registered
