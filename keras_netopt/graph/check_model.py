"""Checks the argument `model` of functions that take any Keras model."""

from typing import Any

import keras

from keras_netopt.graph.layers import has_all_weights


def check_model(model: Any, name: str = "model") -> None:
    """Refuses an object that is no Keras model, or that lacks weights.

    `name` is that of the argument, for the message.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"Argument `{name}` must be a Keras model. "
            f"Received: {name}={model!r} of type {type(model).__name__}"
        )
    if not has_all_weights(model):
        raise ValueError(
            f"Argument `{name}` must be built: call it on a batch, or call "
            "`model.build(input_shape)`. "
            f"Received: {name}=<{type(model).__name__} name={model.name}, "
            "built=False>"
        )
