"""The weights of layers that `model.quantize("int4")` has packed."""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import own_variables, walk_layers
from keras_netopt.graph.read_value import read_value

_NO_WEIGHTS = ("kernel_zero", "embeddings_zero", "g_idx")


def unpack_weight(
    variable: keras.Variable, layer: keras.layers.Layer
) -> np.ndarray | None:
    """Returns the integers of a kernel that holds two weights per byte.

    A weight of 0 is 0: where blocks have zero points, these are subtracted.
    Returns `None` for a variable that is not packed.
    """
    name = next(
        (n for n in ("kernel", "embeddings") if variable.name == n), None
    )
    if name is None or getattr(layer, "quantization_mode", None) != "int4":
        return None
    if keras.backend.standardize_dtype(variable.dtype) != "int8":
        return None
    values = read_value(_without_lora(layer, name))
    zero = getattr(layer, f"{name}_zero", None)
    if zero is None:
        return values
    zeros: np.ndarray = read_value(zero).astype("int32")
    groups = read_value(layer.g_idx)
    groups = groups.astype("int32")
    if name == "embeddings":
        return np.asarray(values - zeros[:, groups])
    matrix = values.reshape(len(groups), -1) - zeros[groups]
    return np.asarray(matrix.reshape(values.shape))


def _without_lora(layer: Any, name: str) -> Any:
    """Returns the unpacked integers, to which Keras adds a LoRA product."""
    enabled, layer.lora_enabled = layer.lora_enabled, False
    try:
        return getattr(layer, name)
    finally:
        layer.lora_enabled = enabled


def count_params(model: keras.Model) -> int:
    """Counts the parameters of a model; packed ones by their weights."""
    owners = {
        id(variable): layer
        for layer in walk_layers(model)
        for variable in own_variables(layer)
    }
    return sum(
        math.prod(variable.shape) if found is None else found.size
        for variable in model.weights
        for found in [unpack_weight(variable, owners.get(id(variable), model))]
    )


def count_zeros(
    operation: Any, variables: Iterable[keras.Variable]
) -> tuple[int, int]:
    """Returns the number of values of variables, and that of zeros.

    The zero points of blocks and the numbers of the blocks are values, but
    none of them is a weight that was removed.
    """
    listed = list(variables)
    arrays = read_weights(operation, listed) if listed else []
    zeros = sum(
        array.size - int(np.count_nonzero(array))
        for variable, array in zip(listed, arrays, strict=True)
        if variable.name not in _NO_WEIGHTS
    )
    return sum(array.size for array in arrays), zeros


def read_weight(
    variable: keras.Variable, layer: keras.layers.Layer
) -> np.ndarray:
    """Returns the values of a variable, unpacked where it is packed."""
    found = unpack_weight(variable, layer)
    return read_value(variable) if found is None else found


def read_weights(
    operation: Any, variables: Iterable[keras.Variable]
) -> list[np.ndarray]:
    """Returns the values of variables of a layer or of its sublayers."""
    owners = {
        id(one): layer
        for layer in walk_layers(operation)
        for one in own_variables(layer)
    }
    return [
        read_weight(one, owners.get(id(one), operation)) for one in variables
    ]
