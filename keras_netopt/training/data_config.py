"""Describes data in a config by shape, dtype and checksum."""

import zlib
from typing import Any

import keras
import numpy as np


def describe_data(value: Any) -> Any:
    """Returns a JSON-safe description of a data argument.

    Example:

    >>> import numpy as np
    >>> describe_data(np.zeros((2, 3), "float32"))
    {'shape': [2, 3], 'dtype': 'float32', 'crc32': 2747386400}
    >>> describe_data((np.zeros(1), None))[1] is None
    True

    Args:
        value: An array, a tensor, a list, tuple or dict of those, a dataset,
            a callable, or `None`.

    Returns:
        Shape, dtype and checksum of arrays in the same structure; the
        qualified name of a function; the class name of another object.
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
    named = value if hasattr(value, "__qualname__") else type(value)
    return {"name": f"{named.__module__}.{named.__qualname__}"}
