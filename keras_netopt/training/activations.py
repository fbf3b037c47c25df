"""Captures the inputs of layers while a model runs."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training.override_method import override_method

Observe = Callable[[keras.Layer, np.ndarray], None]


def capture_inputs(
    model: keras.Model,
    layers: Iterable[keras.Layer],
    batches: Iterable[Any],
    observe: Observe,
) -> None:
    """Runs a model and calls `observe(layer, inputs)` for every layer call.

    `inputs` is the first argument of the call, as an array; each of `batches`
    holds the inputs of the model. The model runs eagerly in inference mode.
    It works for layers at any depth: nested and subclassed models, wrappers
    (one call per time step), the projections inside attention. Calls that a
    backend traces instead of running (the cell of a recurrent layer) have no
    values and are skipped. The model does not change, also if `observe`
    raises.
    """
    with ExitStack() as undo:
        for layer in dict.fromkeys(layers):
            undo.callback(
                override_method(layer, "call", _observed(layer, observe))
            )
        for batch in batches:
            # The scope holds the values that the forward pass assigns.
            with keras.StatelessScope():
                model(batch, training=False)


def _observed(layer: keras.Layer, observe: Observe) -> Callable[..., Any]:
    original = layer.call

    def call(*args: Any, **kwargs: Any) -> Any:
        inputs = args[0] if args else next(iter(kwargs.values()))
        if has_value(inputs):
            observe(layer, np.asarray(ops.convert_to_numpy(inputs)))
        return original(*args, **kwargs)

    return call


def has_value(inputs: Any) -> bool:
    """Returns whether a layer's input is one tensor with known values."""
    if not ops.is_tensor(inputs):
        return False
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return not isinstance(inputs, jax.core.Tracer)
    # Only eager tensors of TensorFlow have this method.
    return backend != "tensorflow" or hasattr(inputs, "numpy")
