"""Copies the weights of a model that tfmot made into a plain twin."""

from typing import Any

import numpy as np

from keras_netopt.tf_keras_bridge.bridge_error import BridgeError
from keras_netopt.tf_keras_bridge.quantize_scheme import DEPTHWISE, POINTWISE


def copy_weights(model: Any, plain: Any, twin: Any) -> None:
    """Writes the weights of a wrapped model into a plain one.

    Args:
        model: A model with the wrappers of tfmot.
        plain: A model with the layers of `twin`; it is modified.
        twin: The twin of which `model` was made. Layers that hold no weights
            of their own in `model` get those of the twin.

    Raises:
        BridgeError: If a weight is missing or has another shape.
    """
    layers = {_plain_name(layer): layer for layer in model.layers}
    for layer in plain.layers:
        if not layer.weights:
            continue
        found = layers.get(layer.name)
        if found is None and layer.name + DEPTHWISE in layers:
            values = _join_separable(layer, layers)
        elif found is None:
            raise BridgeError(
                f"The model '{model.name}' lacks the layer '{layer.name}'."
            )
        elif type(found) is type(layer):
            values = found.get_weights()
        else:
            values = [_find(found, one) for one in layer.weights]
        shapes = [tuple(one.shape) for one in layer.weights]
        if [value.shape for value in values] != shapes:
            raise BridgeError(
                f"The weights of layer '{layer.name}' have the shapes "
                f"{[value.shape for value in values]} instead of {shapes}."
            )
        layer.set_weights(values)


def is_wrapper(layer: Any) -> bool:
    """Whether a layer is a wrapper of tfmot around a layer with its name."""
    return hasattr(layer, "quantize_config") or (
        type(layer).__name__.startswith("ClusterWeights")
    )


def _plain_name(layer: Any) -> str:
    return str(layer.layer.name if is_wrapper(layer) else layer.name)


def _find(wrapper: Any, weight: Any) -> np.ndarray:
    """Returns the value of the weight of a wrapper with the same name."""
    name = _last_part(weight)
    for one in wrapper.weights:
        if _last_part(one) == name:
            value: np.ndarray = one.numpy()
            return value
    raise BridgeError(f"The layer '{wrapper.name}' lacks the weight '{name}'.")


def _last_part(weight: Any) -> str:
    return str(weight.name).rpartition("/")[2].partition(":")[0]


def _join_separable(layer: Any, layers: dict[str, Any]) -> list[np.ndarray]:
    """Collects the weights of the two layers that tfmot makes of one."""
    depthwise = layers[layer.name + DEPTHWISE]
    pointwise = layers[layer.name + POINTWISE]
    places = {
        "depthwise_kernel": (depthwise, "depthwise_kernel"),
        "pointwise_kernel": (pointwise, "kernel"),
        "bias": (pointwise, "bias"),
    }
    values = []
    for weight in layer.weights:
        wrapper, name = places[_last_part(weight)]
        values += [w.numpy() for w in wrapper.weights if _last_part(w) == name]
    return values
