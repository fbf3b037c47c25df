"""The default exit head."""

from typing import Any

import keras

POOLING = {
    2: None,
    3: "GlobalAveragePooling1D",
    4: "GlobalAveragePooling2D",
    5: "GlobalAveragePooling3D",
}


def default_head(
    features: Any, units: int, activation: str, name: str
) -> keras.layers.Layer:
    """Makes an unbuilt exit head: global average pooling, then `Dense`.

    The rank of the symbolic features is 2 to 5, their number of channels
    known.
    """
    rank = len(features.shape)
    if rank not in POOLING or features.shape[-1] is None:
        raise ValueError(
            "Argument `heads` must be given for features of shape "
            f"{tuple(features.shape)}: the default head needs rank 2 to 5 and "
            "a known number of channels. Received: heads=None"
        )
    # The scores of a half-precision model are compared in float32.
    half = features.dtype in ("float16", "bfloat16")
    dense = keras.layers.Dense(
        units,
        activation=activation,
        dtype="float32" if half else features.dtype,
        name="logits",
    )
    kind = POOLING[rank]
    if kind is None:
        return keras.Sequential([dense], name=name)
    pool = getattr(keras.layers, kind)(name="pool")
    return keras.Sequential([pool, dense], name=name)


def final_activation(operation: keras.Operation) -> str:
    """Returns the name of the activation that the last operation applies.

    Example:

    >>> import keras
    >>> final_activation(keras.layers.Dense(3, activation="softmax"))
    'softmax'

    Returns:
        "linear", "softmax", "sigmoid" or "other".
    """
    if isinstance(operation, keras.Model) and operation.outputs:
        graph = getattr(operation, "layers", None)
        return final_activation(graph[-1]) if graph else "other"
    kind = type(operation).__name__.lower()
    if kind in ("softmax", "sigmoid"):
        return kind
    function = getattr(operation, "activation", None)
    if function is None:
        return "linear"
    name = getattr(function, "__name__", "")
    return name if name in ("linear", "softmax", "sigmoid") else "other"
