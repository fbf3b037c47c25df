"""Folds weight normalization into plain kernels."""

from typing import Any

import keras
from keras import ops

from keras_netopt.fine_tuning.normalized_layers import (
    REGISTERED_NAME,
    find_normalized,
    plain_weights,
)
from keras_netopt.training.compiled_clone import compile_like
from keras_netopt.training.rebuild_model import copy_constants, rebuild_model


def remove_weight_normalization(model: keras.Model) -> keras.Model:
    """Returns a plain model with the same outputs.

    Each `layers.WeightNormalization`, wherever it is in the model, is
    replaced by its layer with the kernel w = g v / ||v||, under the name of
    the wrapper. Use it before an export, and before methods that change or
    compare kernels: channel pruning, growing, quantization. `model` is not
    modified, and the two share no weights.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> dense = keras.layers.Dense(3)
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     netopt.layers.WeightNormalization(dense, name="out"),
    ... ])
    >>> plain = netopt.fine_tuning.remove_weight_normalization(model)
    >>> type(plain.get_layer("out")).__name__, plain.count_params()
    ('Dense', 15)

    Args:
        model: A built model with `WeightNormalization` layers. Classes that
            hold one must have a complete `get_config`.

    Returns:
        The new model; compiled like `model`, with a new optimizer, if `model`
        is compiled.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If it is not built, has no `WeightNormalization`, or
            cannot be rebuilt from its config.

    Reference:
        Salimans and Kingma, "Weight normalization", 2016,
        https://arxiv.org/abs/1602.07868.
    """
    layers = find_normalized(model)
    old = plain_weights(model)
    try:
        plain = rebuild_model(model, _unwrap)
        new = plain.weights
        if [tuple(v.shape) for v in new] != [tuple(v.shape) for v in old]:
            raise ValueError("its config describes other weights")
    # The configs of user classes may raise anything.
    except Exception as error:
        raise ValueError(
            "Argument `model` must be a model that can be rebuilt from its "
            f"config, but: {error}. Give its classes a complete `get_config`. "
            f"Received: model=<{type(model).__name__} name={model.name}>"
        ) from error
    folded = {
        id(v): w for one in layers for v, _, w in one.normalized_kernels()
    }
    for variable, value in zip(new, old, strict=True):
        # As an array: on JAX, a step of one model may delete its tensors.
        w = ops.convert_to_numpy(folded.get(id(value), value.value))
        variable.assign(w)
    copy_constants(model, plain)
    if model.compiled:
        compile_like(plain, model)
    return plain


def _unwrap(config: Any) -> Any:
    """Replaces wrappers in a config by their layers."""
    if isinstance(config, list | tuple):
        return type(config)(_unwrap(one) for one in config)
    if not isinstance(config, dict):
        return config
    if config.get("registered_name") == REGISTERED_NAME:
        inner = config["config"]["layer"]
        name = config["config"]["name"]
        named = {**inner, "config": {**inner["config"], "name": name}}
        # A graph stores the calls of a layer beside its config.
        for call in config.get("inbound_nodes", ()):
            given = call["kwargs"]
            for key in [key for key in given if given[key] is None]:
                del given[key]  # The layer may not take a mask.
        return _unwrap({**config, **named})
    return {key: _unwrap(one) for key, one in config.items()}
