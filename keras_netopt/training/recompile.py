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
from keras_netopt.training.group_shrinker import GroupShrinker
from keras_netopt.training.mask_store import MaskStore
from keras_netopt.training.swap_store import SwapStore
from keras_netopt.training.update_scale import UpdateScale


def recompile_keeping_state(model: keras.Model) -> None:
    """Compiles a model again after layers were frozen or unfrozen.

    Loss, metrics and compile options do not change. Variables that were
    trainable before keep their optimizer slots, others get new slots, and
    masks, masters, scales and penalties remain. A callback may call it at the
    beginning or the end of an epoch.
    """
    sync_variables(model)
    any_model: Any = model
    old = model.optimizer
    running = getattr(model, "train_function", None) is not None
    new = type(old).from_config(old.get_config())
    # The copy of a wrapped optimizer includes the wrapper.
    arguments = {**any_model._compile_config.config, "auto_scale_loss": False}
    del arguments["optimizer"]
    model.compile(optimizer=new, **arguments)
    optimizers.build_optimizer(model)
    for before, after in zip(
        optimizers.optimizer_chain(old),
        optimizers.optimizer_chain(new),
        strict=True,
    ):
        _copy_state(before, after)
    if MaskStore.of(model) is not None:
        MaskStore.attach(model, {})
    SwapStore.follow_compile(model)
    UpdateScale.follow_compile(model)
    GroupShrinker.follow_compile(model)
    commit_variables(model)
    if running:
        any_model.make_train_function(force=True)
    reset_compiled_functions(model)


def recompile_if_compiled(model: keras.Model) -> None:
    """Compiles a compiled model again after other weights became trainable."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer.built:
        recompile_keeping_state(model)
    elif model.compiled:
        reset_compiled_functions(model)


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
            slots = getattr(new, name, [])
            for slot, variable in zip(
                slots, new._trainable_variables, strict=False
            ):
                i = place.get(id(variable))
                if i is None or slot is variable:
                    continue
                if isinstance(slot, keras.Variable):
                    slot.assign(value[i])
