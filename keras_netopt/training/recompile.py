"""Compiles a model again and keeps the state of its optimizer.

Private names of Keras 3.15: `_compile_config`, optimizer attributes.
"""

from typing import Any

import keras

from keras_netopt.training import optimizers
from keras_netopt.training.backend import (
    commit_variables,
    reset_compiled_functions,
    sync_variables,
)
from keras_netopt.training.mask_store import MaskStore


def recompile_keeping_state(model: keras.Model) -> None:
    """Compiles a model again after layers were frozen or unfrozen.

    Loss, metrics and compile options do not change. Variables that were
    trainable before keep their optimizer slots, others get new slots, and
    masks remain. A callback may call it at the beginning or the end of an
    epoch.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> _ = model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    >>> model.layers[0].trainable = False
    >>> recompile_keeping_state(model)
    >>> int(model.optimizer.iterations)
    1

    Args:
        model: A compiled, built model.
    """
    sync_variables(model)
    old = model.optimizer
    running = getattr(model, "train_function", None) is not None
    new = type(old).from_config(old.get_config())
    model.compile(optimizer=new, **_compile_arguments(model))
    optimizers.build_optimizer(model)
    for before, after in zip(
        optimizers.optimizer_chain(old),
        optimizers.optimizer_chain(new),
        strict=True,
    ):
        _copy_state(before, after)
    if MaskStore.of(model) is not None:
        MaskStore.attach(model, {})
    commit_variables(model)
    if running:
        any_model: Any = model
        any_model.make_train_function(force=True)
    reset_compiled_functions(model)


def _compile_arguments(model: Any) -> dict[str, Any]:
    arguments = dict(model._compile_config.config)
    del arguments["optimizer"]
    # The copy of a wrapped optimizer includes the wrapper.
    return {**arguments, "auto_scale_loss": False}


def _copy_state(old: Any, new: Any) -> None:
    inner = getattr(old, "_inner_optimizers", None)
    if inner:
        for before, after in zip(inner, new._inner_optimizers, strict=True):
            _copy_state(before, after)
    place = {id(v): i for i, v in enumerate(old._trainable_variables)}
    for name, value in vars(old).items():
        if isinstance(value, keras.Variable):
            getattr(new, name).assign(value)
        elif name in ("_variables", "_trainable_variables"):
            continue
        elif isinstance(value, list) and len(value) == len(place):
            _copy_slots(value, getattr(new, name, []), place, new)


def _copy_slots(
    old: list[Any], new: list[Any], place: dict[int, int], owner: Any
) -> None:
    for j, variable in enumerate(owner._trainable_variables):
        i = place.get(id(variable))
        if i is None or j >= len(new) or new[j] is variable:
            continue
        if isinstance(new[j], keras.Variable):
            new[j].assign(old[i])
