"""Makes edits on a model itself and takes every change back.

A clone needs a config of every layer, which layers of users often lack; the
model itself needs none. Private names of Keras 3.15: `_jax_state`,
`Variable._direct_assign`.
"""

import contextlib
import functools
import random
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.model_memory import ModelMemory
from keras_netopt.graph.read_value import to_numpy
from keras_netopt.surgery.edits.edit_history import EditHistory
from keras_netopt.training import optimizers, randomness, sync_variables
from keras_netopt.training.checkpoint_state import CheckpointState
from keras_netopt.training.editing import mark_rehearsal
from keras_netopt.training.replace_value import replace_value


@contextlib.contextmanager
def rehearsal(model: keras.Model) -> Iterator[None]:
    """Opens a context whose changes of a model are taken back at its end.

    Weights, attributes of layers, the graph, names, random states and the
    edit history are the same objects with the same values afterwards, bit for
    bit. Edits inside see neither the optimizer's slots nor the masks, compile
    nothing, and call no callback. Compiled functions remain valid. Nothing is
    copied: an assignment gives a variable another array, and an edit frees an
    old array that can be computed again. On JAX that gives an equal array.
    """
    sync_variables(model)
    states = random.getstate(), np.random.get_state()
    memory = ModelMemory(model, (CheckpointState, EditHistory))
    try:
        with mark_rehearsal(model), randomness.preserve_random_state():
            _forget_functions(model)
            for variable in model.variables:
                if memory.holds(variable):
                    _protect_value(variable)
            yield
    finally:
        memory.restore()
        random.setstate(states[0])
        np.random.set_state(states[1])


@contextlib.contextmanager
def temporary_copy(model: keras.Model) -> Iterator[keras.Model]:
    """Gives a model like another one, without compilation, to edit and call.

    It is a clone, or, where a layer cannot be cloned, the model itself in a
    rehearsal.
    """
    copy = _clone(model)
    if copy is not None:
        yield copy
        return
    with rehearsal(model):
        vars(model).update(optimizer=None, compiled=False)
        with optimizers.variable_scope(model):
            for variable in model.variables:  # It may be trained.
                replace_value(variable, to_numpy(variable))
        yield model


def _clone(model: keras.Model) -> keras.Model | None:
    try:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
    # Layers of users raise errors of any type in `get_config`.
    except Exception:
        return None
    return copy


def _forget_functions(model: keras.Model) -> None:
    any_model: Any = model
    for name in ("train_function", "test_function", "predict_function"):
        vars(any_model)[name] = None
    if getattr(any_model, "_jax_state", None) is not None:
        vars(any_model)["_jax_state"] = None


def _protect_value(variable: Any) -> None:
    """Makes assignments leave the array of a variable as it is."""
    if keras.backend.backend() != "jax":  # Arrays of JAX never change.
        variable._direct_assign = functools.partial(_assign_copy, variable)


def _assign_copy(variable: Any, value: Any) -> None:
    replace_value(variable, to_numpy(value))
