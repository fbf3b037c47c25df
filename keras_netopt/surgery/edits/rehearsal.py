"""Makes edits on a model itself and takes every change back.

A clone needs a config of every layer, which layers of users often lack; the
model itself needs none. Private name of Keras 3.15: `_jax_state`.
"""

import contextlib
import random
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.model_memory import ModelMemory
from keras_netopt.surgery.edits.apply_plan import replace_value, to_numpy
from keras_netopt.surgery.edits.edit_history import EditHistory
from keras_netopt.training import optimizers, randomness, sync_variables
from keras_netopt.training.checkpoint_state import CheckpointState
from keras_netopt.training.editing import mark_rehearsal


@contextlib.contextmanager
def rehearsal(
    model: keras.Model, variables: Iterable[Any] | None = None
) -> Iterator[None]:
    """Opens a context whose changes of a model are taken back at its end.

    Weights, attributes of layers, the graph, names, random states and the
    edit history are the same objects with the same values afterwards, bit for
    bit. Edits inside see neither the optimizer's slots nor the masks, compile
    nothing, and call no callback. Compiled functions remain valid.

    `variables` are those whose values change inside; by default, all may.
    """
    sync_variables(model)
    states = random.getstate(), np.random.get_state()
    memory = ModelMemory(model, (CheckpointState, EditHistory))
    try:
        with mark_rehearsal(model), randomness.preserve_random_state():
            _use_copies(
                model,
                memory,
                model.variables if variables is None else variables,
            )
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
        yield model


def _clone(model: keras.Model) -> keras.Model | None:
    try:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
    # Layers of users raise errors of any type in `get_config`.
    except Exception:
        return None
    return copy


def _use_copies(
    model: keras.Model, memory: ModelMemory, variables: Iterable[Any]
) -> None:
    """Gives variables copies of their values, so that none is overwritten."""
    any_model: Any = model
    for name in ("train_function", "test_function", "predict_function"):
        vars(any_model)[name] = None
    if getattr(any_model, "_jax_state", None) is not None:
        vars(any_model)["_jax_state"] = None
    with optimizers.variable_scope(model):
        for variable in variables:
            if memory.holds(variable):
                replace_value(variable, to_numpy(variable))
