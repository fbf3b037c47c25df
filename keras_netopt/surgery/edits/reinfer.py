"""Makes a model agree with its variables after their shapes have changed."""

import keras

from keras_netopt.surgery.handlers.settle import settle_model


def reinfer(model: keras.Model) -> None:
    """Brings attributes of layers and shapes of tensors up to date.

    Works in the order of execution, in nested models too, and whichever way
    the shapes have changed.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> reinfer(model)
    >>> model.output_shape
    (None, 2)

    Args:
        model: A built Functional or Sequential model.
    """
    settle_model(model)
