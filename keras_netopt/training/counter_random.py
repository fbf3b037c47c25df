"""Random numbers as a function of seed and step (counter-based).

There is no state to save, and every backend gives the same numbers.
TensorFlow's own stateless generator gives other numbers under XLA.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

# Multipliers and shifts of the 32-bit hash function `lowbias32`.
_MULTIPLIERS = (0x7FEB352D, 0x846CA68B)
_SHIFTS = (16, 15, 16)
_MASK = 0xFFFFFFFF


def uniform(seed: Any, step: Any, count: Any, begin: Any = 0) -> Any:
    """Returns `count` uniform random numbers in [0, 1) for one step.

    The seed is an int of at least 0 or an int tensor, the step an int tensor.
    The result is a float32 tensor of shape `(count,)`: the numbers `begin` to
    `begin + count - 1` of the step.

    Reference:
        Wellons, *Prospecting for hash functions*, 2018,
        https://nullprogram.com/blog/2018/07/31/ (lowbias32).
    """
    # torch has no arithmetic on unsigned integers.
    dtype = "int64" if keras.backend.backend() == "torch" else "uint32"
    if isinstance(seed, int):
        seed = _constant(seed & _MASK, dtype)
    first = _hash_bits(_truncate(ops.cast(seed, dtype), dtype), dtype)
    state = _hash_bits(_add(first, ops.cast(step, dtype), dtype), dtype)
    places = ops.cast(ops.arange(count) + begin, dtype)
    bits = _hash_bits(_add(_hash_bits(places, dtype), state, dtype), dtype)
    return ops.cast(_shift_right(bits, 8, dtype), "float32") * 2.0**-24


def uniform_array(seed: int, step: int, count: int) -> np.ndarray:
    """Returns the numbers of `uniform` for known values, without a backend."""

    def hash_bits(x: np.ndarray) -> np.ndarray:
        x = x ^ (x >> np.uint32(_SHIFTS[0]))
        for multiplier, shift in zip(_MULTIPLIERS, _SHIFTS[1:], strict=True):
            x = x * np.uint32(multiplier)
            x = x ^ (x >> np.uint32(shift))
        return x

    first = hash_bits(np.array([int(seed) & _MASK], "uint32"))
    begin = hash_bits(first + np.uint32(int(step) & _MASK))
    bits = hash_bits(hash_bits(np.arange(count, dtype="uint32")) + begin)
    found: np.ndarray = (bits >> np.uint32(8)).astype("float32") * 2.0**-24
    return found


def _hash_bits(x: Any, dtype: str) -> Any:
    """Applies the hash function: every input bit affects every output bit."""
    x = ops.bitwise_xor(x, _shift_right(x, _SHIFTS[0], dtype))
    for multiplier, shift in zip(_MULTIPLIERS, _SHIFTS[1:], strict=True):
        x = _truncate(ops.multiply(x, _constant(multiplier, dtype)), dtype)
        x = ops.bitwise_xor(x, _shift_right(x, shift, dtype))
    return x


def _add(a: Any, b: Any, dtype: str) -> Any:
    return _truncate(ops.add(a, b), dtype)


def _shift_right(x: Any, by: int, dtype: str) -> Any:
    return ops.right_shift(x, _constant(by, dtype))


def _truncate(x: Any, dtype: str) -> Any:
    """Drops all but the lowest 32 bits of wider integers.

    In two halves of 16 bits: torch 2.13 compiles a 32-bit mask to -1.
    """
    if dtype == "uint32":
        return x
    half, bits = _constant(0xFFFF, dtype), _constant(16, dtype)
    high = ops.bitwise_and(ops.right_shift(x, bits), half)
    return ops.bitwise_or(ops.left_shift(high, bits), ops.bitwise_and(x, half))


def _constant(value: int, dtype: str) -> Any:
    return ops.convert_to_tensor(np.array(value, dtype))
