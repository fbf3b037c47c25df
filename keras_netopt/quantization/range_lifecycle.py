"""Loads and removes the trained activation ranges of a model."""

import os

import keras

from keras_netopt.graph.check_model import check_model
from keras_netopt.quantization.ranges import ENTRY, ActivationRanges
from keras_netopt.training.checkpoint_state import CheckpointState


def load_ranges(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Loads the activation ranges that a file holds and applies them.

    `keras.saving.load_model` loads a model without them, which computes in
    float. Load the model, then its ranges, then export or evaluate it. A
    resumed `fit` with the same `callbacks.Quantization` loads them itself.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_netopt import quantization
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> ranges = quantization.ActivationRanges.attach(model)
    >>> x = np.linspace(-1, 3, 256).reshape(32, 8)
    >>> _ = model.fit(x, np.zeros((32, 50)), verbose=0)
    >>> model.save("quantized.keras")
    >>> again = keras.saving.load_model("quantized.keras")
    >>> load_ranges(again, "quantized.keras")
    >>> quantization.ActivationRanges.of(again).values()[0]
    array([-1.,  3.], dtype=float32)

    Args:
        model: A model of the same structure.
        path: A `.keras` or `.weights.h5` file, saved from a model with
            activation ranges.

    Raises:
        TypeError: If `model` is not a Keras model.
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read, holds no ranges, or they do
            not fit the model, which is as it was.
    """
    check_model(model)
    text = os.fspath(path)
    if not text.endswith((".keras", ".weights.h5")):
        raise ValueError(
            "Argument `path` must end in .keras or .weights.h5. "
            f"Received: path={text!r}"
        )
    if not load_saved_ranges(model, text):
        raise ValueError(
            "Argument `path` must be a file saved from a model with activation "
            "ranges, but it holds none: train with "
            f"`callbacks.Quantization(activations=True)`. Received: "
            f"path={text!r}"
        )


def load_saved_ranges(model: keras.Model, path: str) -> bool:
    """Loads the ranges of a file; returns whether it holds some."""
    state = CheckpointState.of(model)
    state.read(path, needs=ENTRY)
    loaded = state.take_loaded(ENTRY)
    if loaded is None:
        return False
    is_new = ActivationRanges.of(model) is None
    ranges = ActivationRanges.attach(model)
    try:
        ranges.load_state(loaded[1])
    except ValueError:
        if is_new:
            ranges.detach()
        raise
    return True


def remove_ranges(model: keras.Model) -> None:
    """Removes the activation ranges of a model, which computes in float then.

    Weights, masks and optimizer do not change.

    Example:

    >>> import keras
    >>> from keras_netopt import quantization
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> ranges = quantization.ActivationRanges.attach(model)
    >>> remove_ranges(model)
    >>> quantization.ActivationRanges.of(model) is None
    True

    Args:
        model: A model with activation ranges.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If the model has no activation ranges.
    """
    check_model(model)
    ranges = ActivationRanges.of(model)
    if ranges is None:
        raise ValueError(
            "Argument `model` must have activation ranges: train it with "
            "`callbacks.Quantization(activations=True)`, or use "
            f"`quantization.load_ranges`. Received: model={model.name!r}"
        )
    ranges.detach()
