"""A hash of a model's architecture, without weights and names."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.report import as_plain

# Keys of a config whose strings are names of layers; "name" only beside one
# of `OF_LAYERS`, or in the config of a node of the graph: other objects, such
# as `DTypePolicy`, have names that count.
NAMING = frozenset({"keras_history", "input_layers", "output_layers"})
OF_LAYERS = frozenset({"trainable", "inbound_nodes", "batch_shape"})


def hash_architecture(model: keras.Model) -> str | None:
    """Hashes the config of a built model: layers, arguments, connections.

    Two models that were built by the same code have the same hash: automatic
    names such as "dense_7" and the weights do not count, shapes and dtypes
    do.

    Example:

    >>> import keras
    >>> def build(units):
    ...     return keras.Sequential(
    ...         [keras.Input((3,)), keras.layers.Dense(units)]
    ...     )
    >>> hash_architecture(build(2)) == hash_architecture(build(2))
    True
    >>> hash_architecture(build(2)) == hash_architecture(build(4))
    False

    Args:
        model: A built model.

    Returns:
        32 hexadecimal digits, or `None` for a subclassed model, whose config
        does not hold its layers.
    """
    try:
        config = json.loads(json.dumps(as_plain(model.get_config())))
    except (NotImplementedError, TypeError):
        return None
    if "layers" not in config:
        return None
    names: dict[str, str] = {}
    plain = {
        "config": _rename(config, names),
        "inputs": _describe(model.inputs),
        "outputs": _describe(model.outputs),
        "weights": [[list(w.shape), str(w.dtype)] for w in model.weights],
    }
    text = json.dumps(plain, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _describe(tensors: Any) -> list[list[str]]:
    flat = keras.tree.flatten(tensors)
    return [[str(tuple(one.shape)), str(one.dtype)] for one in flat]


def _rename(value: Any, names: dict[str, str], of: str = "") -> Any:
    """Replaces the names of layers by numbers in order of appearance.

    `of` says what a string in `value` is: "names" of layers, the config of a
    "layer", or neither.
    """
    if isinstance(value, str) and of == "names":
        return names.setdefault(value, f"@{len(names)}")
    if isinstance(value, list):
        return [_rename(one, names, of) for one in value]
    if not isinstance(value, Mapping):
        return value
    is_layer = of == "layer" or not OF_LAYERS.isdisjoint(value)
    found = {}
    for key in sorted(value):
        is_name = key in NAMING or (key == "name" and is_layer)
        is_config = key == "config" and "inbound_nodes" in value
        kind = "names" if is_name else "layer" if is_config else ""
        found[key] = _rename(value[key], names, kind)
    return found
