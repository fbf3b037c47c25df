"""Activations of Keras 3 that tf_keras lacks or defines otherwise.

Imported on first use, because it imports TensorFlow. The functions are
registered, so that a saved twin finds them.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from keras_netopt.serialization import PACKAGE

# The functions that have one definition in both packages.
SAME = frozenset(
    (
        "elu exponential gelu linear mish relu selu sigmoid softmax softplus "
        "softsign tanh"
    ).split()
)
FUNCTIONS: dict[str, Callable[..., Any]] = {}


def _register(function: Callable[..., Any]) -> Callable[..., Any]:
    registered = tf_keras.saving.register_keras_serializable(PACKAGE)(function)
    FUNCTIONS[function.__name__] = registered
    return function


@_register
def relu6(x: Any) -> Any:
    """Clips to [0, 6]."""
    return tf.nn.relu6(x)


@_register
def hard_sigmoid(x: Any) -> Any:
    """Clips x / 6 + 1 / 2 to [0, 1]; tf_keras has a slope of .2."""
    return tf.nn.relu6(x + 3.0) / 6.0


@_register
def hard_silu(x: Any) -> Any:
    """Multiplies x by its hard sigmoid."""
    return x * (tf.nn.relu6(x + 3.0) / 6.0)


@_register
def leaky_relu(x: Any) -> Any:
    """Has a slope of .2 below 0."""
    return tf.nn.leaky_relu(x, alpha=0.2)


@_register
def log_softmax(x: Any) -> Any:
    """Takes the logarithm of the softmax over the last axis."""
    return tf.nn.log_softmax(x)


@_register
def log_sigmoid(x: Any) -> Any:
    """Takes the logarithm of the sigmoid."""
    return tf.math.log_sigmoid(x)


@_register
def celu(x: Any) -> Any:
    """Is x above 0 and exp(x) - 1 below."""
    return tf.where(x > 0, x, tf.math.expm1(tf.minimum(x, 0.0)))


@_register
def glu(x: Any) -> Any:
    """Multiplies the first half of the last axis by the second's sigmoid."""
    first, second = tf.split(x, 2, axis=-1)
    return first * tf.sigmoid(second)


@_register
def hard_tanh(x: Any) -> Any:
    """Clips to [-1, 1]."""
    return tf.clip_by_value(x, -1.0, 1.0)


@_register
def hard_shrink(x: Any) -> Any:
    """Is 0 where the absolute value is at most .5."""
    return tf.where(tf.abs(x) > 0.5, x, tf.zeros_like(x))


@_register
def soft_shrink(x: Any) -> Any:
    """Moves x towards 0 by .5."""
    return tf.sign(x) * tf.maximum(tf.abs(x) - 0.5, 0.0)


@_register
def tanh_shrink(x: Any) -> Any:
    """Is x - tanh(x)."""
    return x - tf.tanh(x)


@_register
def squareplus(x: Any) -> Any:
    """Is (x + sqrt(x^2 + 4)) / 2."""
    return (x + tf.sqrt(x * x + 4.0)) / 2.0


@_register
def sparse_plus(x: Any) -> Any:
    """Is 0 below -1, x above 1 and a parabola between."""
    middle = 0.25 * (x + 1.0) ** 2
    return tf.where(x <= -1, tf.zeros_like(x), tf.where(x < 1, middle, x))


@_register
def sparse_sigmoid(x: Any) -> Any:
    """Clips (x + 1) / 2 to [0, 1]."""
    return tf.clip_by_value(0.5 * (x + 1.0), 0.0, 1.0)
