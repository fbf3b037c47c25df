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
from keras_netopt.graph.read_value import read_value
from keras_netopt.training.take_entries import (
    SIZE,
    Places,
    find_differences,
    split_rows,
    take_entries,
)

# Largest share of the entries of an old array that are kept one by one.
KEPT = 1 / 16


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
            variable._initialize(_to_tensor(value, variable.dtype))
    finally:
        variable._trainable = trainable


def _to_tensor(value: Any, dtype: str) -> Any:
    """Converts an array; a large one with a single copy.

    TensorFlow's conversion makes two. A sliced assignment to a variable makes
    one, but from then on each step would copy the variable when it reads it.
    """
    if not (
        keras.backend.backend() == "tensorflow"
        and isinstance(value, np.ndarray)
        and value.size > SIZE
        and dtype in ("float16", "float32", "float64")
        and value.dtype == dtype
    ):
        return ops.convert_to_tensor(value, dtype)
    import tensorflow as tf

    tensor = tf.raw_ops.Empty(shape=value.shape, dtype=dtype)
    for rows in split_rows(len(value), value.size):
        places: np.ndarray = np.arange(rows.start, rows.stop, dtype="int32")
        tensor = tf.raw_ops.InplaceUpdate(x=tensor, i=places, v=value[rows])
    return tensor


def exchange_value(
    variable: Any, value: np.ndarray, places: Places | None
) -> None:
    """Replaces a value, and frees the old one if the new one tells it.

    `places` are the positions that the entries of the old array have in the
    new one, by axis, `None` if some are lost. If the bits there are the same,
    all but a few, whoever remembers the old value keeps only those few and
    computes it again when it is needed.
    """
    held = find_held(variable._value) if _is_local(variable) else None
    kept = None
    if held is not None and places is not None:
        kept = _find_kept(read_value(variable._value), value, places)
    if held is None or places is None or kept is None:
        replace_value(variable, value)
        return
    # The old value is freed first: the two are never in memory together.
    forget = functools.partial(_forget, held, variable.dtype, places, kept)
    old = _free_value(variable)
    forget(old, value)
    replace_value(variable, value)
    forget(old, hold_value(variable._value))


def _is_local(variable: Any) -> bool:
    """Whether a value is one array, not spread over devices."""
    if keras.backend.backend() == "tensorflow":
        return not hasattr(variable._value, "values")
    return getattr(variable, "_layout", None) is None


def _find_kept(old: np.ndarray, new: np.ndarray, places: Places) -> Any:
    """Returns what of an old array must be kept, `None` if it is too much."""
    if old.dtype != new.dtype:
        return None
    kept = find_differences(old, new, places)
    return kept if len(kept[0]) <= KEPT * old.size else None


def _free_value(variable: Any) -> Any:
    """Frees the memory of a value that will be replaced.

    Returns the object that held it. On JAX there is none: an array goes with
    the last object that refers to it.
    """
    if keras.backend.backend() == "jax":
        variable._value = None
        return None
    # Functions that were compiled before hold this object.
    old = variable._value
    _set_content(old, np.zeros(0, keras.backend.standardize_dtype(old.dtype)))
    return old


def _forget(
    held: HeldValue,
    dtype: str,
    places: Places,
    kept: tuple[np.ndarray, np.ndarray],
    old: Any,
    new: np.ndarray | HeldValue,
) -> None:
    """Lets an old value be computed from the new one."""
    compute = functools.partial(_compute, new, places, kept)
    if old is None:
        held.give_up(functools.partial(_make_again, dtype, compute))
    else:
        held.give_up(functools.partial(_refill, old, compute))


def _compute(
    new: np.ndarray | HeldValue,
    places: Places,
    kept: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    value = read_value(new.get() if isinstance(new, HeldValue) else new)
    array = np.array(take_entries(value, places))
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
