"""Reads the values of variables and tensors on the host, without a copy."""

from typing import Any

import keras
import numpy as np
from keras import ops


def read_value(value: Any) -> np.ndarray:
    """Returns a value on the host, to read: it may share memory.

    `ops.convert_to_numpy` would copy the value, and a TensorFlow variable
    twice.
    """
    if isinstance(value, np.ndarray):
        return value
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return np.asarray(tf.convert_to_tensor(value))
    value = ops.convert_to_tensor(value)
    if keras.backend.backend() == "torch":
        if keras.backend.standardize_dtype(value.dtype) == "bfloat16":
            return np.asarray(ops.convert_to_numpy(value))
        value = value.detach().cpu()
    return np.asarray(value)


def to_numpy(variable: Any) -> np.ndarray:
    """Copies the value of a variable to the host."""
    return np.array(read_value(variable))
