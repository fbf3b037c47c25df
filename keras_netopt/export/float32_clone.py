"""Clones a model in mixed or half precision as float32."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_netopt.export.export_error import ExportError
from keras_netopt.graph.layers import walk_layers
from keras_netopt.training.rebuild_model import copy_constants, rebuild_model

_HALF = ("float16", "bfloat16")
_HALF_NAMES = (*_HALF, "mixed_float16", "mixed_bfloat16")


def find_half_layers(model: keras.Model) -> list[str]:
    """Returns the names of layers that compute or store in half precision."""
    return [
        layer.name
        for layer in walk_layers(model)
        if not isinstance(layer, keras.Model)
        and (layer.compute_dtype in _HALF or layer.variable_dtype in _HALF)
    ]


def float32_clone(model: keras.Model) -> keras.Model:
    """Rebuilds a model from its config in float32, with the same weights.

    The clone is not compiled. Raises ExportError if the model cannot be
    rebuilt from its config.
    """
    try:
        with _float32_policy():
            clone = rebuild_model(model, _in_float32)
    # The configs of user classes may raise anything.
    except Exception as error:
        raise _clone_error(str(error)) from error
    old, new = model.weights, clone.weights
    if [tuple(v.shape) for v in old] != [tuple(v.shape) for v in new]:
        raise _clone_error(
            f"the clone has {len(new)} weights instead of {len(old)}, or "
            "other shapes"
        )
    clone.set_weights(model.get_weights())
    copy_constants(model, clone)
    if left := find_half_layers(clone):
        raise _clone_error(f"layers {left} stay in half precision")
    return clone


def _clone_error(reason: str) -> ExportError:
    return ExportError(
        "A model in half precision is exported through a float32 clone, which "
        f"could not be made: {reason}. Give your classes a complete "
        '`get_config`, or build the model with dtype="float32" and copy the '
        "weights."
    )


def _in_float32(value: Any) -> Any:
    """Returns a config with every half precision dtype replaced."""
    if isinstance(value, (list, tuple)):
        return type(value)(_in_float32(item) for item in value)
    if not isinstance(value, dict):
        return value
    return {
        key: "float32"
        if key in ("dtype", "input_dtype") and _is_half(item)
        else _in_float32(item)
        for key, item in value.items()
    }


def _is_half(dtype: Any) -> bool:
    if isinstance(dtype, dict):
        config = dtype.get("config") or {}
        if dtype.get("class_name") == "DTypePolicyMap":
            return True
        return config.get("name") in _HALF_NAMES
    return dtype in _HALF_NAMES


@contextlib.contextmanager
def _float32_policy() -> Iterator[None]:
    """Sets the global policy, which layers made by a custom layer take."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
