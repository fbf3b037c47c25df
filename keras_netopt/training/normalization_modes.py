"""Normalization layers in other modes than those of inference."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import keras

from keras_netopt.graph.layers import walk_layers
from keras_netopt.training.override_method import override_method

_LAYERS = keras.layers
NORMALIZATIONS = (
    _LAYERS.BatchNormalization,
    _LAYERS.GroupNormalization,
    _LAYERS.LayerNormalization,
    _LAYERS.RMSNormalization,
)


@contextlib.contextmanager
def batch_statistics(model: keras.Model) -> Iterator[None]:
    """Lets batch normalization use the statistics of the batch.

    Dropout and the other layers stay in inference mode. Calls must run in a
    `keras.StatelessScope`, which holds the moving statistics.
    """

    def use_batch(layer: Any) -> Callable[..., Any]:
        original = layer.call

        def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
            return original(inputs, training=True, mask=mask)

        return call

    with ExitStack() as undo:
        for layer in walk_layers(model):
            if isinstance(layer, keras.layers.BatchNormalization):
                undo.callback(override_method(layer, "call", use_batch(layer)))
        yield


@contextlib.contextmanager
def without_normalization(model: keras.Model) -> Iterator[None]:
    """Lets the normalization layers of Keras return their inputs."""

    def identity(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return inputs

    with ExitStack() as undo:
        for layer in walk_layers(model):
            if isinstance(layer, NORMALIZATIONS):
                undo.callback(override_method(layer, "call", identity))
        yield
