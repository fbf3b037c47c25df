"""Clones a Keras model with its weights."""

import types
import warnings
from typing import Any

import keras

from keras_netopt.export.rebuild_error import find_reason
from keras_netopt.graph.layers import variable_keys, walk_layers
from keras_netopt.tf_keras_bridge.bridge_error import BridgeError
from keras_netopt.training.rebuild_model import copy_constants


def clone_source(model: keras.Model) -> keras.Model:
    """Returns a copy of a model with the same weights, not compiled.

    Raises BridgeError if the model cannot be rebuilt from its config.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = keras.saving.serialize_keras_object(model)
            config.pop("compile_config", None)
            with keras.saving.custom_object_scope(_own_objects(model)):
                clone = keras.saving.deserialize_keras_object(
                    config, safe_mode=False
                )
    # The configs of user classes may raise anything.
    except Exception as error:
        raise BridgeError(
            f"The model '{model.name}' cannot be cloned: "
            f"{find_reason(str(error))}. Pass `into=bridge.source` to write "
            "the weights into the model itself."
        ) from error
    for old, new in pair_variables(model, clone):
        new.assign(old.value)
    copy_constants(model, clone)
    return clone


def _own_objects(model: keras.Model) -> dict[str, Any]:
    """Returns the classes and functions of a model that are not Keras' own.

    Those of Keras stay out: the layer `Add` must not stand for the op `Add`.
    """
    found: dict[str, Any] = {}
    for layer in walk_layers(model):
        functions: tuple[Any, ...] = tuple(
            one
            for one in vars(layer).values()
            if isinstance(one, types.FunctionType)
        )
        for one in (type(layer), *functions):
            if not one.__module__.startswith("keras.src."):
                found[one.__name__] = one
    return found


def pair_variables(
    source: keras.Model, target: keras.Model
) -> list[tuple[keras.Variable, keras.Variable]]:
    """Pairs the weights of a model with those of its clone.

    They are paired by key; where layers made inside a layer have other
    automatic names, by their order, which a clone keeps.
    """
    one, other = variable_keys(source), variable_keys(target)
    given = {other[id(variable)]: variable for variable in target.weights}
    wanted = {one[id(variable)]: variable for variable in source.weights}
    if _forms(wanted) == _forms(given):
        return [(wanted[key], given[key]) for key in wanted]
    pairs = list(zip(source.weights, target.weights, strict=False))
    if len(source.weights) != len(target.weights) or any(
        a.name != b.name or a.shape != b.shape for a, b in pairs
    ):
        odd = sorted(set(wanted) ^ set(given))
        raise BridgeError(
            f"The model '{target.name}' has other weights than "
            f"'{source.name}': {odd[:5] or 'other shapes'}."
        )
    return pairs


def _forms(variables: dict[str, keras.Variable]) -> dict[str, Any]:
    return {key: tuple(one.shape) for key, one in variables.items()}
