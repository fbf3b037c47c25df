"""JSON-safe form of the arguments of a call, with numbers for tensors."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.tf_keras_bridge.flat_call import Value, float32_of
from keras_netopt.tf_keras_bridge.obstacle import NoTwinError

_KEY = "netopt"


def encode(value: Any, tensors: list[Value]) -> Any:
    """Returns a JSON-safe form of an argument.

    A tensor becomes its position in `tensors`, to which it is added.
    """
    if isinstance(value, Value):
        found = [k for k, one in enumerate(tensors) if one is value]
        if not found:
            tensors.append(value)
        return {_KEY: "tensor", "index": (found or [len(tensors) - 1])[0]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if value is Ellipsis:
        return {_KEY: "ellipsis"}
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return {_KEY: "slice", "parts": [encode(one, tensors) for one in parts]}
    if isinstance(value, tuple | list):
        items = [encode(one, tensors) for one in value]
        return {_KEY: "tuple", "items": items} if _is_tuple(value) else items
    if isinstance(value, dict):
        return {key: encode(one, tensors) for key, one in value.items()}
    return _encode_array(value)


def _is_tuple(value: Any) -> bool:
    return isinstance(value, tuple)


def _encode_array(value: Any) -> Any:
    if isinstance(value, keras.Variable):
        raise NoTwinError(
            f"the call takes the variable {value.path!r}",
            "Put the variable into a layer",
        )
    if isinstance(value, np.dtype | type):
        return float32_of(value)
    if not (isinstance(value, np.ndarray | np.generic) or _is_tensor(value)):
        raise NoTwinError(
            f"the call takes an argument of type {type(value).__name__}",
            "Use tensors, numbers and arrays alone",
        )
    array = np.asarray(keras.ops.convert_to_numpy(value))
    return {
        _KEY: "array",
        "dtype": float32_of(array.dtype.name),
        "shape": list(array.shape),
        "values": array.ravel().tolist(),
    }


def _is_tensor(value: Any) -> bool:
    return bool(keras.ops.is_tensor(value))


def decode(value: Any, tensors: Sequence[Any]) -> Any:
    """Returns the argument of `encode` with tensors in place of numbers."""
    if isinstance(value, list | tuple):
        return [decode(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_KEY)
    if kind is None:
        return {key: decode(one, tensors) for key, one in value.items()}
    decoders: dict[str, Callable[[], Any]] = {
        "tensor": lambda: tensors[value["index"]],
        "ellipsis": lambda: Ellipsis,
        "slice": lambda: slice(
            *(decode(one, tensors) for one in value["parts"])
        ),
        "tuple": lambda: tuple(decode(one, tensors) for one in value["items"]),
        "array": lambda: np.array(
            value["values"], dtype=value["dtype"]
        ).reshape(value["shape"]),
    }
    return decoders[kind]()
