"""The structure of a model's inputs, as JSON, and a call that builds it."""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.training.override_method import override_method
from keras_netopt.training.randomness import temporary_seed

STRING = "string"
SETTINGS = ("training", "mask")  # Arguments of `call` that are no inputs.


class InputRecorder:
    """Records the shapes and dtypes of the first call of an unbuilt model.

    Keras stores the shapes without the dtypes, and what it builds from them
    counts as unbuilt: `load_weights` refuses it. A `keras.Sequential` is built
    by them, and nothing is recorded. `found` is the record, JSON-safe, or
    `None`.
    """

    def __init__(self, model: keras.Model) -> None:
        self.found: dict[str, Any] | None = None
        self.close = lambda: None
        if model.built or isinstance(model, keras.Sequential):
            return
        if "call" in vars(model):
            return
        call = model.call

        @functools.wraps(call)
        def record(*args: Any, **kwargs: Any) -> Any:
            self.close()
            self.found = describe_call(args, kwargs)
            return call(*args, **kwargs)

        self.close = override_method(model, "call", record)


def describe_call(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Returns the structure of the arguments of a call, JSON-safe.

    The batch axis and unknown axes have the size 1. `None` if an argument is
    neither a tensor nor a value of JSON.
    """
    named = {k: v for k, v in kwargs.items() if k not in SETTINGS}
    try:
        return {"args": _encode(args), "kwargs": _encode(named)}
    except (TypeError, ValueError):  # A tensor of unknown rank.
        return None


def describe_built(model: keras.Model) -> dict[str, Any] | None:
    """Returns the structure of one built model's inputs, if Keras knows it.

    Keras knows the shapes; the dtype is that of the model's inputs.
    """
    config = model.get_build_config() or {}
    if config.get("input_shape") is None or isinstance(model, keras.Sequential):
        return None
    spec = functools.partial(keras.KerasTensor, dtype=model.input_dtype)
    inputs = keras.tree.map_shape_structure(spec, config["input_shape"])
    return describe_call((inputs,), {})


def call_on_zeros(model: keras.Model, description: Mapping[str, Any]) -> None:
    """Builds a model by a call on one sample of zeros.

    The random state is the same afterwards.
    """
    with temporary_seed(0):
        model(*_decode(description["args"]), **_decode(description["kwargs"]))


def _encode(value: Any) -> dict[str, Any]:
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a key that JSON does not hold")
        return {"dict": {key: _encode(one) for key, one in value.items()}}
    if isinstance(value, tuple | list):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_encode(one) for one in value]}
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        raise TypeError(f"no tensor: {type(value).__name__}")
    dtype = keras.backend.standardize_dtype(value.dtype)
    shape = [axis or 1 for axis in tuple(value.shape)]
    return {"shape": [1, *shape[1:]] if shape else [], "dtype": dtype}


def _decode(found: Mapping[str, Any]) -> Any:
    if "dict" in found:
        return {key: _decode(one) for key, one in found["dict"].items()}
    if "tuple" in found:
        return tuple(_decode(one) for one in found["tuple"])
    if "list" in found:
        return [_decode(one) for one in found["list"]]
    if "value" in found:
        return found["value"]
    if found["dtype"] == STRING:
        return keras.ops.convert_to_tensor(np.full(found["shape"], ""))
    return keras.ops.zeros(found["shape"], found["dtype"])
