"""Clones a Keras model with its weights."""

import warnings

import keras

from keras_netopt.graph.layers import variable_keys, walk_layers
from keras_netopt.tf_keras_bridge.bridge_error import BridgeError


def clone_source(model: keras.Model) -> keras.Model:
    """Returns a copy of a model with the same weights, not compiled.

    Raises BridgeError if the model cannot be rebuilt from its config.
    """
    classes = {
        kind.__name__: kind
        for kind in map(type, walk_layers(model))
        # The layer `Add` must not stand for the op `Add`.
        if not kind.__module__.startswith("keras.src.")
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = keras.saving.serialize_keras_object(model)
            config.pop("compile_config", None)
            with keras.saving.custom_object_scope(classes):
                clone = keras.saving.deserialize_keras_object(
                    config, safe_mode=False
                )
    # The configs of user classes may raise anything.
    except Exception as error:
        raise BridgeError(
            f"The model '{model.name}' cannot be cloned: {error}. Pass "
            "`into=model` to write the weights into the model itself."
        ) from error
    copy_variables(model, clone)
    return clone


def copy_variables(source: keras.Model, target: keras.Model) -> None:
    """Copies the weights of a model to its clone."""
    for old, new in pair_variables(source, target):
        new.assign(old.value)


def pair_variables(
    source: keras.Model, target: keras.Model
) -> list[tuple[keras.Variable, keras.Variable]]:
    """Pairs the weights of a model with those of its clone, by key."""
    one, other = variable_keys(source), variable_keys(target)
    given = {other[id(variable)]: variable for variable in target.weights}
    wanted = {one[id(variable)]: variable for variable in source.weights}
    shapes = {key: tuple(value.shape) for key, value in wanted.items()}
    if shapes != {key: tuple(value.shape) for key, value in given.items()}:
        missing = sorted(set(wanted) ^ set(given))
        raise BridgeError(
            f"The model '{target.name}' has other weights than "
            f"'{source.name}': {missing[:5] or 'other shapes'}."
        )
    return [(wanted[key], given[key]) for key in wanted]
