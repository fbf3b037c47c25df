"""Grids of 8, 4, 3 and 2 bits: scales, rounding, recognition.

A grid is symmetric with zero point 0 and narrow range: the values of a
channel are `k * scale` for integers `k` in [-limit, limit], where `limit` is
127, 7, 3 or 1. Each function takes numpy arrays or tensors of the backend
and returns the same kind.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.sparsity.kernel_view import KernelView

BITS = (2, 3, 4, 8)
METHODS = ("max", "mse", "twn")
# With few bits of mantissa in the scale, `k * scale` is exact. Then a value on
# the grid is found again bit for bit on every backend.
PRECISION = 21
_MANTISSA = 24
_SMALLEST = 2.0**-100
# Candidates of "mse", relative to the scale of "max".
FACTORS = tuple(float(factor) for factor in np.linspace(0.4, 1.0, 13))


def channel_axes(
    variable: keras.Variable, layer: keras.Layer
) -> tuple[int, ...]:
    """Returns the axes of a kernel that have one scale per index.

    These are the output axes: the last one; the last two of a depthwise
    kernel; the one before the last of a transposed convolution; the axes of
    an `EinsumDense` kernel that are in the output; the rows of an embedding
    table.

    Example:

    >>> import keras
    >>> layer = keras.layers.DepthwiseConv2D(3)
    >>> layer.build((None, 8, 8, 4))
    >>> channel_axes(layer.kernel, layer)
    (2, 3)

    Args:
        variable: The kernel.
        layer: The layer that created it.

    Returns:
        Axes, in ascending order.
    """
    table = isinstance(layer, keras.layers.Embedding)
    if table and variable.name == "embeddings":
        return (0,)
    return tuple(sorted(KernelView.of(variable, layer).columns))


def find_limit(bits: int) -> int:
    """Returns the largest integer of a grid: 127, 7, 3 or 1.

    Args:
        bits: 8, 4, 3 or 2.
    """
    return int(2 ** (bits - 1)) - 1


def find_method(bits: int) -> str:
    """Returns the method that "auto" stands for.

    Args:
        bits: 8, 4, 3 or 2.

    Returns:
        "max" for 8 and 4 bits, "mse" for 3, "twn" for 2.
    """
    return {2: "twn", 3: "mse"}.get(bits, "max")


def find_precision(dtype: str, bits: int) -> int:
    """Returns the bits of mantissa of a scale: `k * scale` is exact.

    Example:

    >>> find_precision("float32", 8), find_precision("bfloat16", 4)
    (17, 5)

    Args:
        dtype: Dtype of the kernel.
        bits: 8, 4, 3 or 2.
    """
    mantissa = {"bfloat16": 8, "float16": 11}.get(dtype, _MANTISSA)
    return min(PRECISION, mantissa - (bits - 1))


def find_scale(
    kernel: Any,
    axes: tuple[int, ...],
    bits: int,
    method: str = "max",
    precision: int | None = None,
) -> Any:
    """Returns the scale of each channel, with few bits of mantissa.

    The largest weight of a channel is always rounded to `limit`, so an
    exporter that divides the largest absolute value by `limit` finds the same
    scale in a kernel that is on the grid.

    Args:
        kernel: Kernel, float32.
        axes: Axes with one scale per index, from `channel_axes`.
        bits: 8, 4, 3 or 2.
        method: "max": the largest absolute value divided by `limit`; "mse":
            the best squared error of 13 factors in [.4, 1] of that scale;
            "twn" (2 bits): the mean of the absolute values above .7 of their
            mean, without zeros. Defaults to `"max"`.
        precision: Bits of mantissa, from `find_precision`. Defaults to
            `None`: that of float32.

    Returns:
        Scales, of the kernel's rank with size 1 in the other axes; 1.0 for a
        channel of zeros.

    Reference:
        Li et al. 2016, arXiv 1605.04711 ("twn").
    """
    xp = _namespace(kernel)
    other = tuple(i for i in range(len(kernel.shape)) if i not in axes)
    limit = find_limit(bits)
    precision = precision or find_precision("float32", bits)
    magnitude = xp.abs(kernel)
    top = xp.max(magnitude, axis=other, keepdims=True)
    if method == "twn":
        scale = _ternary_scale(magnitude, top, other, xp)
    elif method == "mse":
        return _best_scale(kernel, top, other, bits, precision)
    else:
        scale = top * (1.0 / limit)
    return _cut(scale, precision)


def round_to_grid(
    kernel: Any, scale: Any, bits: int, *, saturate: bool = True
) -> Any:
    """Rounds a kernel to the nearest values of a grid.

    Args:
        kernel: Kernel, float32.
        scale: Scales, from `find_scale`.
        bits: 8, 4, 3 or 2.
        saturate: Whether values may lie beyond `limit`; those of a kernel
            with its own scales of the method "max" do not. Defaults to
            `True`.

    Returns:
        Kernel on the grid.
    """
    # Through integers: -0.0 would have another bit pattern than 0.0.
    limit = find_limit(bits) if saturate else None
    integers = _find_integers(kernel, scale, limit)
    if isinstance(kernel, np.ndarray):
        return integers.astype("float32") * scale
    return ops.cast(integers, "float32") * scale


def find_bits(kernel: np.ndarray, axes: tuple[int, ...]) -> int | None:
    """Finds the smallest grid that holds a kernel, bit for bit.

    Only the values count, so a model from a file is recognized too. A kernel
    of zeros is on the grid of 2 bits.

    Example:

    >>> import numpy as np
    >>> kernel = np.array([[1.5, -3.0], [-0.5, 1.0]], dtype="float32")
    >>> find_bits(kernel, (1,))
    3
    >>> print(find_bits(np.array([[3.0], [3.14159]], "float32"), (1,)))
    None

    Args:
        kernel: Kernel.
        axes: Axes with one scale per index, from `channel_axes`.

    Returns:
        2, 3, 4 or 8; `None` if the kernel is on none of the grids.
    """
    original, kernel = kernel, kernel.astype("float32")
    if not np.isfinite(kernel).all() or (original != kernel).any():
        return None
    for bits in BITS:
        rounded = round_to_grid(kernel, find_scale(kernel, axes, bits), bits)
        if np.array_equal(rounded, kernel):
            return bits
    return None


def find_integers(
    kernel: np.ndarray, axes: tuple[int, ...], bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns integers and scales of a kernel that is on a grid.

    Args:
        kernel: Kernel, float32.
        axes: Axes with one scale per index, from `channel_axes`.
        bits: 8, 4, 3 or 2, from `find_bits`.

    Returns:
        Integers as int8 in the kernel's shape; scales as `find_scale` returns
        them. Their product is the kernel.
    """
    kernel = kernel.astype("float32")
    scale = find_scale(kernel, axes, bits)
    integers = _find_integers(kernel, scale, find_limit(bits))
    return integers.astype("int8"), scale


def _namespace(kernel: Any) -> Any:
    return np if isinstance(kernel, np.ndarray) else ops


def _find_integers(kernel: Any, scale: Any, limit: int | None) -> Any:
    # A product with the reciprocal takes half the time of a quotient and finds
    # the integers of a kernel on the grid, because `k * scale` is exact.
    xp = _namespace(kernel)
    integers = xp.round(kernel * (1.0 / scale))
    if limit is not None:
        integers = xp.clip(integers, -limit, limit)
    if xp is np:
        # NaN, which the scale holds too, has no integer.
        return np.nan_to_num(integers).astype("int32")
    return ops.cast(integers, "int32")


def _cut(scale: Any, precision: int) -> Any:
    """Rounds the mantissas of scales; 1.0 where a channel is zero."""
    xp, unit = _namespace(scale), 2 ** (_MANTISSA - precision)
    if xp is np:
        bits = scale.view("int32") + np.int32(unit // 2)
        cut = (bits & np.int32(-unit)).view("float32")
    else:
        bits = ops.add(ops.view(scale, "int32"), unit // 2)
        cut = ops.view(ops.bitwise_and(bits, -unit), "float32")
    return xp.where(scale <= _SMALLEST, 1.0, cut)


def _best_scale(
    kernel: Any, top: Any, other: tuple[int, ...], bits: int, precision: int
) -> Any:
    xp = _namespace(kernel)
    limit = find_limit(bits)
    best = scale = None
    for factor in FACTORS:
        candidate = _cut(top * (factor / limit), precision)
        rounded = round_to_grid(kernel, candidate, bits)
        error = xp.sum(xp.square(rounded - kernel), axis=other, keepdims=True)
        if best is None:
            best, scale = error, candidate
        else:
            better = error <= best
            best = xp.where(better, error, best)
            scale = xp.where(better, candidate, scale)
    return scale


def _ternary_scale(
    magnitude: Any, top: Any, other: tuple[int, ...], xp: Any
) -> Any:
    def total(values: Any) -> Any:
        return xp.sum(values, axis=other, keepdims=True)

    def count(condition: Any) -> Any:
        if xp is np:
            return total(condition.astype("float32"))
        return total(ops.cast(condition, "float32"))

    mean = total(magnitude) / xp.maximum(count(magnitude > 0), 1.0)
    large = magnitude > 0.7 * mean
    scale = total(xp.where(large, magnitude, 0.0))
    scale = scale / xp.maximum(count(large), 1.0)
    # Weights of one magnitude: a sum of many equal numbers is rounded, their
    # largest is not, and a ternary kernel keeps its scale.
    return xp.where(scale > 0.999 * top, top, scale)
