"""The ops of `keras.ops` in TensorFlow, by the name of the class in Keras.

Imported on first use, because it imports TensorFlow. A function takes the
arguments of the call, then the attributes of the op by keyword.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Op = Callable[..., Any]


def _reduce(function: Op) -> Op:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(x, axis=axis, keepdims=keepdims)

    return reduce


def _mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.reduce_mean(_as_float(x), axis=axis, keepdims=keepdims)


def _sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    if x.dtype == tf.bool:
        x = tf.cast(x, tf.int32)
    return tf.reduce_sum(x, axis=axis, keepdims=keepdims)


def _variance(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.math.reduce_variance(_as_float(x), axis=axis, keepdims=keepdims)


def _std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.sqrt(_variance(x, axis, keepdims))


def _max(
    x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None
) -> Any:
    found = tf.reduce_max(x, axis=axis, keepdims=keepdims)
    return found if initial is None else tf.maximum(found, initial)


def _min(
    x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None
) -> Any:
    found = tf.reduce_min(x, axis=axis, keepdims=keepdims)
    return found if initial is None else tf.minimum(found, initial)


def _as_float(x: Any) -> Any:
    return x if x.dtype.is_floating else tf.cast(x, tf.float32)


def _float(function: Op) -> Op:
    return lambda x: function(_as_float(x))


def _get_item(x: Any, key: Any) -> Any:
    return x[key]


def _reshape(x: Any, newshape: Any) -> Any:
    return tf.reshape(x, newshape)


def _expand_dims(x: Any, axis: Any) -> Any:
    axes = [axis] if isinstance(axis, int) else list(axis)
    rank = x.shape.rank + len(axes)
    for one in sorted(one % rank for one in axes):
        x = tf.expand_dims(x, one)
    return x


def _squeeze(x: Any, axis: Any = None) -> Any:
    return tf.squeeze(x, axis)


def _transpose(x: Any, axes: Any = None) -> Any:
    return tf.transpose(x, axes)


def _swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    order = list(range(x.shape.rank))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return tf.transpose(x, order)


def _moveaxis(x: Any, source: Any, destination: Any) -> Any:
    return tf.experimental.numpy.moveaxis(x, source, destination)


def _concatenate(xs: Any, axis: int = 0) -> Any:
    return tf.concat(xs, axis if axis is not None else 0)


def _stack(xs: Any, axis: int = 0) -> Any:
    return tf.stack(xs, axis)


def _split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    if isinstance(indices_or_sections, int):
        return tf.split(x, indices_or_sections, axis)
    edges = [0, *indices_or_sections, x.shape[axis]]
    sizes = [b - a for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return tf.split(x, sizes, axis)


def _softmax(x: Any, axis: Any = -1) -> Any:
    if isinstance(axis, int):
        return tf.nn.softmax(x, axis)
    high = tf.reduce_max(x, axis=axis, keepdims=True)
    powers = tf.exp(x - high)
    return powers / tf.reduce_sum(powers, axis=axis, keepdims=True)


def _clip(x: Any, x_min: Any, x_max: Any) -> Any:
    return tf.clip_by_value(x, x_min, x_max)


def _pad(
    x: Any,
    pad_width: Any,
    mode: str = "constant",
    constant_values: Any = None,
) -> Any:
    return tf.pad(x, pad_width, mode.upper(), constant_values or 0)


def _cast(x: Any, dtype: str) -> Any:
    return tf.cast(x, dtype)


def _leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    return tf.nn.leaky_relu(x, negative_slope)


def _gelu(x: Any, approximate: bool = True) -> Any:
    return tf.nn.gelu(x, approximate)


def _elu(x: Any, alpha: float = 1.0) -> Any:
    return tf.where(x > 0, x, alpha * tf.math.expm1(tf.minimum(x, 0.0)))


def _argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is None:
        x, axis = tf.reshape(x, [-1]), 0
    found = tf.argmax(x, axis, output_type=tf.int32)
    return tf.expand_dims(found, axis) if keepdims else found


def _flip(x: Any, axis: Any = None) -> Any:
    axes = range(x.shape.rank) if axis is None else axis
    return tf.reverse(x, [axes] if isinstance(axes, int) else list(axes))


def _one_hot(x: Any, num_classes: int, axis: int = -1, **options: Any) -> Any:
    dtype = options.get("dtype", "float32")
    return tf.one_hot(tf.cast(x, tf.int32), num_classes, axis=axis, dtype=dtype)


def _round(x: Any, decimals: int = 0) -> Any:
    scale = 10.0**decimals
    return tf.round(x * scale) / scale if decimals else tf.round(x)


def _take(x: Any, indices: Any, axis: Any = None) -> Any:
    if axis is None:
        x, axis = tf.reshape(x, [-1]), 0
    indices = tf.cast(indices, tf.int32)
    size = tf.shape(x)[axis]  # Negative indices count from the end.
    return tf.gather(
        x, tf.where(indices < 0, indices + size, indices), axis=axis
    )


OPS: dict[str, Op] = {
    "Abs": tf.abs,
    "Absolute": tf.abs,
    "Add": tf.add,
    "All": _reduce(tf.reduce_all),
    "Amax": _reduce(tf.reduce_max),
    "Amin": _reduce(tf.reduce_min),
    "Any": _reduce(tf.reduce_any),
    "Argmax": _argmax,
    "BroadcastTo": lambda x, shape: tf.broadcast_to(x, shape),
    "Cast": _cast,
    "Ceil": tf.math.ceil,
    "Clip": _clip,
    "Concatenate": _concatenate,
    "Cos": _float(tf.cos),
    "Cumsum": lambda x, axis: tf.cumsum(x, axis),
    "Divide": tf.divide,
    "Einsum": lambda *xs, subscripts: tf.einsum(subscripts, *xs),
    "Elu": _elu,
    "Equal": tf.equal,
    "Erf": tf.math.erf,
    "Exp": _float(tf.exp),
    "ExpandDims": _expand_dims,
    "Expm1": _float(tf.math.expm1),
    "Flip": _flip,
    "Floor": tf.floor,
    "FloorDivide": tf.math.floordiv,
    "Gelu": _gelu,
    "GetItem": _get_item,
    "Greater": tf.greater,
    "GreaterEqual": tf.greater_equal,
    "HardSigmoid": lambda x: tf.nn.relu6(x + 3.0) / 6.0,
    "HardSilu": lambda x: x * (tf.nn.relu6(x + 3.0) / 6.0),
    "LeakyRelu": _leaky_relu,
    "Less": tf.less,
    "LessEqual": tf.less_equal,
    "Log": _float(tf.math.log),
    "Log1p": _float(tf.math.log1p),
    "LogSoftmax": lambda x, axis=-1: tf.nn.log_softmax(x, axis),
    "LogicalAnd": tf.logical_and,
    "LogicalNot": tf.logical_not,
    "LogicalOr": tf.logical_or,
    "Logsumexp": _reduce(tf.reduce_logsumexp),
    "Matmul": tf.matmul,
    "Max": _max,
    "Maximum": tf.maximum,
    "Mean": _mean,
    "Min": _min,
    "Minimum": tf.minimum,
    "Mod": tf.math.floormod,
    "Moveaxis": _moveaxis,
    "Multiply": tf.multiply,
    "Negative": tf.negative,
    "NotEqual": tf.not_equal,
    "OneHot": _one_hot,
    "OnesLike": lambda x, dtype=None: tf.ones_like(x, dtype),
    "Pad": _pad,
    "Power": tf.pow,
    "Prod": _reduce(tf.reduce_prod),
    "Reciprocal": _float(tf.math.reciprocal),
    "Relu": tf.nn.relu,
    "Relu6": tf.nn.relu6,
    "Repeat": lambda x, repeats, axis=None: tf.repeat(x, repeats, axis),
    "Reshape": _reshape,
    "Roll": lambda x, shift, axis: tf.roll(x, shift, axis),
    "Round": _round,
    "Rsqrt": _float(tf.math.rsqrt),
    "Selu": tf.nn.selu,
    "Sigmoid": tf.sigmoid,
    "Sign": tf.sign,
    "Silu": tf.nn.silu,
    "Sin": _float(tf.sin),
    "Softmax": _softmax,
    "Softplus": tf.nn.softplus,
    "Softsign": tf.nn.softsign,
    "Split": _split,
    "Sqrt": _float(tf.sqrt),
    "Square": tf.square,
    "Squeeze": _squeeze,
    "Stack": _stack,
    "StopGradient": tf.stop_gradient,
    "Std": _std,
    "Subtract": tf.subtract,
    "Sum": _sum,
    "Swapaxes": _swapaxes,
    "Take": _take,
    "TakeAlongAxis": tf.experimental.numpy.take_along_axis,
    "Tanh": _float(tf.tanh),
    "Tile": lambda x, repeats: tf.tile(x, repeats),
    "Transpose": _transpose,
    "Tril": lambda x, k=0: tf.experimental.numpy.tril(x, k),
    "Triu": lambda x, k=0: tf.experimental.numpy.triu(x, k),
    "TrueDivide": tf.divide,
    "Var": _variance,
    "Where": tf.where,
    "ZerosLike": lambda x, dtype=None: tf.zeros_like(x, dtype),
}
# Casts all tensors to the dtype of the result first.
ARITHMETIC = frozenset(
    "Add Concatenate Divide Einsum FloorDivide Matmul Maximum Minimum Mod "
    "Multiply Power Stack Subtract TrueDivide".split()
)
# Casts all tensors to their common dtype first.
COMPARISONS = frozenset(
    "Equal Greater GreaterEqual Less LessEqual NotEqual".split()
)
