"""Rebuilds a model from its config after the config was changed."""

from collections.abc import Callable
from typing import Any

import keras

from keras_netopt.graph.layers import walk_layers


def rebuild_model(model: keras.Model, edit: Callable[[Any], Any]) -> Any:
    """Builds a model from the edited config of another.

    The classes of the model need no registration. The new model is not
    compiled and has initial weights. May raise any error of a user's code.

    Args:
        model: A built model, which is not changed.
        edit: `callable(config) -> config`; it may change the given one.
    """
    classes = {
        kind.__name__: kind
        for kind in map(type, walk_layers(model))
        # The layer `Add` must not stand for the op `Add`.
        if not kind.__module__.startswith("keras.src.")
    }
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    with keras.saving.custom_object_scope(classes):
        return keras.saving.deserialize_keras_object(
            edit(config), safe_mode=False
        )


def copy_constants(source: keras.Model, clone: keras.Model) -> None:
    """Copies what layers derive from weights when those are loaded.

    `Normalization` keeps mean and variance as tensors beside its weights, and
    an assignment of the weights does not change them.
    """
    kind = keras.layers.Normalization
    old, new = (
        [one for one in walk_layers(model) if isinstance(one, kind)]
        for model in (source, clone)
    )
    for one, other in zip(old, new, strict=False):
        if one.built:
            for name in ("mean", "variance"):
                value = keras.ops.cast(getattr(one, name), other.compute_dtype)
                setattr(other, name, value)
