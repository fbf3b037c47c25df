"""Reads the weights of a model of tf_keras for the layers of its source."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_netopt.tf_keras_bridge.bridge_error import BridgeError
from keras_netopt.tf_keras_bridge.twin_builder import WeightLink
from keras_netopt.tf_keras_bridge.weight_keys import (
    match_weights,
    tf_keras_weights,
)

PREFIXES = ("quant_", "prune_low_magnitude_", "cluster_")


def read_weights(model: Any, links: list[WeightLink]) -> list[np.ndarray]:
    """Returns the values in a model for each link.

    Layers are found by name, in the wrappers of tfmot too, and weights by
    name and shape. Raises BridgeError that lists all that are missing.
    """
    layers = dict(_walk(model))
    found: dict[int, Any] = {}
    wrong: list[str] = []
    for name in dict.fromkeys(link.layer for link in links):
        own = [link for link in links if link.layer == name]
        layer = layers.get(name)
        if layer is None:
            wrong.append(f"layer '{name}' is missing")
            continue
        wanted = [(link.key, link.variable) for link in own]
        given = list(tf_keras_weights(layer))
        variables, faults = match_weights(wanted, given)
        wrong += [f"layer '{name}': {fault}" for fault in faults]
        if not faults:
            computed = _computed_values(layer)
            found |= {
                id(link): computed.get(id(one), one).numpy()
                for link, one in zip(own, variables, strict=True)
            }
    if wrong:
        raise BridgeError(
            f"The model '{model.name}' of tf_keras does not have the weights "
            "of the source:\n" + "\n".join(f"- {one}" for one in wrong)
        )
    return [found[id(link)] for link in links]


def is_quantized(model: Any) -> bool:
    """Whether a model holds the fake quantization of tfmot."""
    return any(hasattr(one, "quantize_config") for one in model.layers)


def plain_name(layer: Any) -> str:
    """Returns the name of a layer without those of its wrappers."""
    while hasattr(layer, "layer"):
        prefix = layer.name.removesuffix(layer.layer.name)
        if prefix not in PREFIXES:
            break
        layer = layer.layer
    return str(layer.name)


def _walk(model: Any) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        yield plain_name(layer), layer


def _computed_values(layer: Any) -> dict[int, Any]:
    """Returns the weights that a wrapper computes with, by `id` of its own.

    A wrapper for pruning applies its mask, one for clustering its clusters,
    in each call, and keeps the weights of before.
    """
    values = {
        id(weight): weight * mask
        for weight, mask, _ in getattr(layer, "pruning_vars", ())
    }
    update = getattr(layer, "update_clustered_weights_associations", None)
    if update is not None:
        update()
        values |= {
            id(original): layer.get_weight_from_layer(name)
            for name, original in layer.original_clusterable_weights.items()
        }
    return values
