"""The callbacks that are appended to `fit`, one set at a time."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_netopt as netopt
from keras_netopt import surgery

BATCH = 4
Appended = tuple[list[keras.callbacks.Callback], Any, Any, bool]


class NotApplicable(Exception):
    """This callback has nothing to do in this example."""


def pruning(model: keras.Model, x: Any, y: Any) -> Appended:
    """Half of the weights, with the compute counted."""
    tracker = netopt.callbacks.ComputeTracker()
    return [netopt.callbacks.Pruning(0.5), tracker], x, y, False


def channel_pruning(model: keras.Model, x: Any, y: Any) -> Appended:
    """Three tenths of the channels."""
    return [netopt.callbacks.ChannelPruning(0.3)], x, y, False


def growing(model: keras.Model, x: Any, y: Any) -> Appended:
    """Twice the units of the first hidden layer that can be widened."""
    widen = surgery.Widen(hidden_layer(model), factor=2)
    return [netopt.callbacks.Growing(widen, verbose=0)], x, y, False


def hidden_layer(model: keras.Model) -> keras.Layer:
    """The first dense layer that can be widened, else another layer.

    Args:
        model: Of the example.

    Returns:
        Where none can be widened, the first: the error says why.

    Raises:
        NotApplicable: If the model has one layer of these kinds.
    """
    wanted = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.LSTM)
    found = [
        layer
        for kind in wanted
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, kind)
    ]
    if len(found) < 2:
        raise NotApplicable("no hidden dense, convolutional or LSTM layer")
    for layer in found:
        try:
            surgery.widen(model, layer, factor=2, dry_run=True)
        except ValueError:
            continue
        return layer
    return found[0]


def curriculum(model: keras.Model, x: Any, y: Any) -> Appended:
    """Samples from easy to hard, by the loss of the model."""
    if y is None or not all(
        isinstance(one, np.ndarray) for one in keras.tree.flatten((x, y))
    ):
        raise NotApplicable("its data are batches, not arrays")
    callback = netopt.callbacks.Curriculum(x, y, verbose=0)
    return [callback], callback.dataset(BATCH), None, True


CALLBACKS: dict[str, Callable[[keras.Model, Any, Any], Appended]] = {
    "Pruning": pruning,
    "ChannelPruning": channel_pruning,
    "Growing": growing,
    "Curriculum": curriculum,
}
