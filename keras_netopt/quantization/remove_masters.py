"""Ends the quantization of a model's training."""

import keras

from keras_netopt.training.master_store import MasterStore


def remove_masters(model: keras.Model) -> None:
    """Removes the float masters of a model, which then trains in float.

    The kernels stay on their grids until the model is trained again. Use it
    to train a quantized model without rounding, or to save a smaller file:
    a saved model holds its masters so that training can be resumed.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model.compile("adam", "mse")
    >>> _ = model.fit(np.ones((32, 8)), np.zeros((32, 4)), verbose=0,
    ...     callbacks=[netopt.callbacks.Quantization(4)])
    >>> remove_masters(model)
    >>> netopt.quantization.report(model).rows[0].bits
    4

    Args:
        model: A model that was trained with `callbacks.Quantization`.

    Raises:
        ValueError: If the model has no masters.
    """
    store = MasterStore.of(model)
    if store is None:
        raise ValueError(
            "Argument `model` must have masters: train it with "
            f"`callbacks.Quantization`. Received: model={model.name!r}"
        )
    store.take_up()
    store.detach()
