"""Random numbers that are a function of seed and step, and of nothing else.

There is no state to save or to carry through a compiled step, and every
backend draws the same numbers. TensorFlow's own stateless generator gives
others under XLA.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

# Multipliers and shifts of `lowbias32`, a mixer of 32 bits.
_MULTIPLIERS = (0x7FEB352D, 0x846CA68B)
_SHIFTS = (16, 15, 16)
_MASK = 0xFFFFFFFF


def uniform(seed: Any, step: Any, count: Any) -> Any:
    """Draws numbers in [0, 1) for one step.

    Example:

    >>> from keras import ops
    >>> drawn = uniform(0, ops.convert_to_tensor(3), 2)
    >>> [round(float(value), 4) for value in ops.convert_to_numpy(drawn)]
    [0.4044, 0.3269]

    Args:
        seed: An int of at least 0, or an int tensor.
        step: The step, an int tensor.
        count: How many, an int or an int tensor.

    Returns:
        A float32 tensor of shape `(count,)`.

    Reference:
        Wellons, *Prospecting for hash functions*, 2018,
        https://nullprogram.com/blog/2018/07/31/ (lowbias32).
    """
    # torch has no arithmetic on unsigned integers.
    dtype = "int64" if keras.backend.backend() == "torch" else "uint32"
    if isinstance(seed, int):
        seed = _number(seed & _MASK, dtype)
    first = _mixed(_cut(ops.cast(seed, dtype), dtype), dtype)
    begin = _mixed(_sum(first, ops.cast(step, dtype), dtype), dtype)
    places = ops.cast(ops.arange(count), dtype)
    bits = _mixed(_sum(_mixed(places, dtype), begin, dtype), dtype)
    return ops.cast(_shifted(bits, 8, dtype), "float32") * 2.0**-24


def _mixed(x: Any, dtype: str) -> Any:
    """Spreads every bit over all others."""
    x = ops.bitwise_xor(x, _shifted(x, _SHIFTS[0], dtype))
    for multiplier, shift in zip(_MULTIPLIERS, _SHIFTS[1:], strict=True):
        x = _cut(ops.multiply(x, _number(multiplier, dtype)), dtype)
        x = ops.bitwise_xor(x, _shifted(x, shift, dtype))
    return x


def _sum(a: Any, b: Any, dtype: str) -> Any:
    return _cut(ops.add(a, b), dtype)


def _shifted(x: Any, by: int, dtype: str) -> Any:
    return ops.right_shift(x, _number(by, dtype))


def _cut(x: Any, dtype: str) -> Any:
    """Drops what has grown beyond 32 bits where the numbers are wider.

    In halves: torch 2.13 compiles a mask of 32 bits to -1, which drops none.
    """
    if dtype == "uint32":
        return x
    half, bits = _number(0xFFFF, dtype), _number(16, dtype)
    high = ops.bitwise_and(ops.right_shift(x, bits), half)
    return ops.bitwise_or(ops.left_shift(high, bits), ops.bitwise_and(x, half))


def _number(value: int, dtype: str) -> Any:
    return ops.convert_to_tensor(np.array(value, dtype))
