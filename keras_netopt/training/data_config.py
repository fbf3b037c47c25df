"""Describes data in a config by shape, dtype and checksum."""

import math
import zlib
from typing import Any

import keras
import numpy as np


def describe_data(value: Any) -> Any:
    """Returns a JSON-safe description of a data argument.

    Arrays and tensors become their shape, dtype and checksum, in the structure
    of `value`; a model the name of its class, its number of parameters and
    their checksum; a function its qualified name, another object the name of
    its class.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [describe_data(part) for part in value]
    if isinstance(value, dict):
        return {str(key): describe_data(part) for key, part in value.items()}
    if isinstance(value, np.ndarray) or keras.ops.is_tensor(value):
        array = np.ascontiguousarray(keras.ops.convert_to_numpy(value))
        return {
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "crc32": zlib.crc32(array.tobytes()),
        }
    if isinstance(value, keras.Model):
        crc = 0
        for weight in value.weights:
            array = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
            crc = zlib.crc32(array.tobytes(), crc)
        kind = type(value)
        return {
            "name": f"{kind.__module__}.{kind.__qualname__}",
            "parameters": sum(math.prod(w.shape) for w in value.weights),
            "crc32": crc,
        }
    named = value if hasattr(value, "__qualname__") else type(value)
    return {"name": f"{named.__module__}.{named.__qualname__}"}
