"""Gives variables values of other shapes, and frees the old values.

Private names of Keras 3.15: `Variable._shape`, `_ndim`, `_initialize`,
`_trainable`, `_value`, `_layout`.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.held_values import (
    HeldValue,
    find_held,
    hold_value,
)
from keras_netopt.training.take_entries import (
    Places,
    find_differences,
    take_entries,
)

# Largest share of the entries of an old array that are kept one by one.
KEPT = 1 / 16


def to_numpy(variable: Any) -> np.ndarray:
    """Copies the value of a variable to the host."""
    return np.array(read_value(variable))


def read_value(value: Any) -> np.ndarray:
    """Returns a value on the host; it may share the memory of the value."""
    return np.asarray(ops.convert_to_numpy(value))


def replace_value(variable: Any, value: Any) -> None:
    """Assigns a value of another shape to a variable object."""
    variable._shape = tuple(int(size) for size in value.shape)
    variable._ndim = len(variable._shape)
    trainable = variable._trainable
    if keras.backend.backend() == "tensorflow":
        # A frozen layer freezes Keras' variable only. A TensorFlow variable
        # created as frozen would get no gradients after unfreezing.
        variable._trainable = variable._value.trainable
    try:
        with keras.name_scope("surgery"):
            variable._initialize(ops.convert_to_tensor(value, variable.dtype))
    finally:
        variable._trainable = trainable


def exchange_value(
    variable: Any, value: np.ndarray, places: Places | None
) -> None:
    """Replaces a value, and frees the old one if the new one tells it.

    `places` are the positions that the entries of the old array have in the
    new one, by axis, `None` if some are lost. If the bits there are the same,
    all but a few, whoever remembers the old value keeps only those few and
    computes it again when it is needed.
    """
    old = variable._value
    held = find_held(old) if _is_local(variable, old) else None
    kept = None
    if held is not None and places is not None:
        kept = _find_kept(read_value(old), value, places)
    replace_value(variable, value)
    if held is None or places is None or kept is None:
        return
    compute = functools.partial(
        _compute, hold_value(variable._value), places, kept
    )
    if keras.backend.backend() == "jax":
        held.give_up(functools.partial(_make_again, variable.dtype, compute))
        return
    # Functions that were compiled before hold this object.
    _set_content(old, np.zeros(0, value.dtype))
    held.give_up(functools.partial(_refill, old, compute))


def _is_local(variable: Any, old: Any) -> bool:
    """Whether a value is one array, not spread over devices."""
    if keras.backend.backend() == "tensorflow":
        return not hasattr(old, "values")
    return getattr(variable, "_layout", None) is None


def _find_kept(old: np.ndarray, new: np.ndarray, places: Places) -> Any:
    """Returns what of an old array must be kept, `None` if it is too much."""
    if old.dtype != new.dtype:
        return None
    kept = find_differences(old, new, places)
    return kept if len(kept[0]) <= KEPT * old.size else None


def _compute(
    new: HeldValue, places: Places, kept: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    array = np.array(take_entries(read_value(new.get()), places))
    array.reshape(-1)[kept[0]] = kept[1]
    return array


def _make_again(dtype: str, compute: Callable[[], np.ndarray]) -> Any:
    return ops.convert_to_tensor(compute(), dtype)


def _refill(old: Any, compute: Callable[[], np.ndarray]) -> Any:
    """Gives the object of an old value its content again."""
    _set_content(old, compute())
    return old


def _set_content(old: Any, array: np.ndarray) -> None:
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            dtype = keras.backend.standardize_dtype(old.dtype)
            old.data = ops.convert_to_tensor(array, dtype).to(old.device)
        return
    import tensorflow as tf

    tf.raw_ops.AssignVariableOp(
        resource=old.handle,
        value=tf.convert_to_tensor(array, old.dtype),
        validate_shape=False,
    )
