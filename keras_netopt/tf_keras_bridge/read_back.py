"""Reads the weights of a model of tf_keras for the layers of its source."""

from collections.abc import Iterator
from typing import Any

from keras_netopt.tf_keras_bridge.bridge_error import BridgeError
from keras_netopt.tf_keras_bridge.twin_builder import WeightLink
from keras_netopt.tf_keras_bridge.weight_keys import (
    Key,
    match_weights,
    tf_keras_weights,
)

PREFIXES = ("quant_", "prune_low_magnitude_", "cluster_")


def read_weights(model: Any, links: list[WeightLink]) -> list[Any]:
    """Returns the variable of a model for each link.

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
        given = [
            (_strip(key), variable) for key, variable in tf_keras_weights(layer)
        ]
        variables, faults = match_weights(wanted, given)
        wrong += [f"layer '{name}': {fault}" for fault in faults]
        if not faults:
            pairs = zip(own, variables, strict=True)
            found |= {id(link): variable for link, variable in pairs}
    if wrong:
        raise BridgeError(
            f"The model '{model.name}' of tf_keras does not have the weights "
            "of the source:\n" + "\n".join(f"- {one}" for one in wrong)
        )
    return [found[id(link)] for link in links]


def is_wrapped(model: Any) -> bool:
    """Whether a model holds wrappers of tfmot."""
    return any(layer.name != plain_name(layer) for layer in model.layers)


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


def _strip(key: Key) -> Key:
    return key
