"""Data-dependent initial values of weight normalization."""

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.fine_tuning.normalized_layers import find_normalized
from keras_netopt.graph.layers import walk_layers
from keras_netopt.training import NoEffectWarning
from keras_netopt.training.override_method import override_method

L = keras.layers
# Their output is linear in the one kernel, the last or the second axis counts
# units.
_LAYERS = (
    *(L.Dense, L.EinsumDense, L.Conv1D, L.Conv2D, L.Conv3D),
    *(L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose),
    *(L.DepthwiseConv1D, L.DepthwiseConv2D),
)
# They call the layers inside them once per time step.
_LOOPS = (L.TimeDistributed, L.RNN, L.Bidirectional)


def initialize_weight_normalization(
    model: keras.Model, x: Any
) -> tuple[str, ...]:
    """Initializes weight normalization from a batch of data.

    Sets g, and the bias where the layer has one, so that every unit's output
    before the activation has mean 0 and standard deviation 1 on the batch,
    layer after layer. A layer without a bias gets the deviation only. Call it
    once before `fit`, on a model with initial weights: it changes the
    outputs.

    It is a function and not a part of `fit` since JAX discards what a layer
    assigns to its trained weights in a training step.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     netopt.layers.WeightNormalization(keras.layers.Dense(2)),
    ... ])
    >>> x = 5 + 3 * np.random.default_rng(0).normal(size=(64, 4))
    >>> names = netopt.fine_tuning.initialize_weight_normalization(model, x)
    >>> y = model.predict(x, verbose=0)
    >>> bool(np.allclose(y.mean(0), 0, atol=1e-4)), y.std(0).round(3).tolist()
    (True, [1.0, 1.0])

    Args:
        model: A built model with `layers.WeightNormalization`.
        x: One batch of inputs, as for `model(x)`; a few hundred samples.
            Dropout is off.

    Returns:
        The names of the layers that were initialized: Dense, EinsumDense with
        one axis of units, and convolutions, except separable ones; also with
        a `TimeDistributed` between them and the wrapper. A unit with a
        constant output keeps its values, as recurrent layers do and wrappers
        inside `TimeDistributed`, which sees one step at a time. A warning
        tells if no layer was initialized.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If it is not built or has no `WeightNormalization`, or `x`
            has less than two samples.

    Reference:
        Salimans and Kingma, "Weight normalization", 2016, section 3,
        https://arxiv.org/abs/1602.07868.
    """
    layers = find_normalized(model)
    x = keras.tree.map_structure(ops.convert_to_numpy, x)
    if any(np.ndim(one) == 0 or len(one) < 2 for one in keras.tree.flatten(x)):
        raise ValueError(
            "Argument `x` must be a batch of at least two samples. "
            f"Received: x={x!r}"
        )
    inside = {
        id(one)
        for loop in walk_layers(model)
        if isinstance(loop, _LOOPS)
        for one in walk_layers(loop)
    }
    done: dict[int, str] = {}
    undo: list[Callable[[], None]] = []
    for layer in layers:
        if id(layer) not in inside and _is_linear(layer):
            function = _make_call(layer, done)
            undo.append(override_method(layer, "call", function))
    try:
        model(x)
    finally:
        for restore in undo:
            restore()
    if not done:
        names = ", ".join(layer.name for layer in layers[:4])
        warnings.warn(
            "initialize_weight_normalization: no layer was initialized: "
            f"{names} must be Dense, EinsumDense or a convolution, called in "
            "the model and not once per time step. Write `WeightNormalization("
            "TimeDistributed(layer))`, not the wrapper inside.",
            NoEffectWarning,
            stacklevel=2,
        )
    return tuple(done.values())


def _find_inner(layer: Any) -> Any:
    inner = layer.layer
    return inner.layer if isinstance(inner, L.TimeDistributed) else inner


def _is_linear(layer: Any) -> bool:
    inner = _find_inner(layer)
    if not isinstance(inner, _LAYERS):
        return False
    ((_, g, _),) = layer.normalized_kernels()
    bias = getattr(inner, "bias", None)
    return bias is None or tuple(bias.shape) == tuple(g.shape)


def _make_call(layer: Any, done: dict[int, str]) -> Callable[..., Any]:
    call = layer.call

    def initialize_and_call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if id(layer) not in done and _initialize(layer, call, inputs):
            done[id(layer)] = layer.name
        return call(inputs, *args, **kwargs)

    return initialize_and_call


def _initialize(layer: Any, call: Callable[..., Any], inputs: Any) -> bool:
    """Standardizes the units of one layer; whether it could."""
    inner = _find_inner(layer)
    activation, inner.activation = inner.activation, None
    try:
        outputs = ops.cast(call(inputs), "float32")
    finally:
        inner.activation = activation
    ((_, g, _),) = layer.normalized_kernels()
    first = getattr(inner, "data_format", None) == "channels_first"
    steps = int(inner is not layer.layer)  # An axis of time comes before.
    axis = 1 + steps if first else len(outputs.shape) - 1
    if outputs.shape[axis] != g.shape[0]:
        return False
    axes = [k for k in range(len(outputs.shape)) if k != axis]
    mean, variance = ops.moments(outputs, axes=axes)
    is_constant = variance <= 1e-12
    scale = ops.where(is_constant, 1.0, ops.rsqrt(variance + 1e-30))
    g.assign(ops.cast(g.value * scale, g.dtype))
    if inner.bias is not None:
        bias = inner.bias
        centred = ops.where(is_constant, bias.value, (bias - mean) * scale)
        bias.assign(ops.cast(centred, bias.dtype))
    return True
