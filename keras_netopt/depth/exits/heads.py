"""Heads that exits get where the user brings none."""

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
    """Makes a head for features: the mean over space or time, then Dense.

    Example:

    >>> import keras
    >>> head = default_head(keras.Input((8, 8, 4)), 10, "linear", "head")
    >>> [layer.name for layer in head.layers]
    ['pool', 'logits']

    Args:
        features: The symbolic tensor that the head will read.
        units: Width of the answer.
        activation: Name of the activation of the final output.
        name: Name of the head.

    Returns:
        An unbuilt layer.

    Raises:
        ValueError: If the rank of the features is not 2 to 5, or their
            channels are unknown.
    """
    rank = len(features.shape)
    if rank not in POOLING or features.shape[-1] is None:
        raise ValueError(
            "Argument `heads` must bring a head for features of shape "
            f"{tuple(features.shape)}: there is a default for ranks 2 to 5 "
            "with known channels. Received: heads=None"
        )
    # The answer of a half precision model is compared in float32.
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
    """Names the activation that the last operation of a model applies.

    Example:

    >>> import keras
    >>> final_activation(keras.layers.Dense(3, activation="softmax"))
    'softmax'
    >>> final_activation(keras.layers.Dense(3))
    'linear'

    Args:
        operation: The layer or op whose output is the model's.

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
