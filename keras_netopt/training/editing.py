"""Groups edits of a model's shapes or graph into one recompilation."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_netopt.training.backend import (
    commit_variables,
    reset_compiled_functions,
    sync_variables,
)
from keras_netopt.training.checkpoint_state import CheckpointState

_ATTRIBUTE = "_netopt_editing"
_REHEARSAL = "_netopt_rehearsal"


@contextlib.contextmanager
def editing(model: keras.Model) -> Iterator[list[Any]]:
    """Opens a context in which a model may be edited, also inside `fit`.

    Variables can be read and written inside. The context gives a list, to
    which each edit appends its change. At the end the compiled functions are
    reset once, for all edits. Contexts of the same model may be nested and
    then share one list. Callbacks with `before_edit(model)` or
    `after_edit(model)` are called before the first and after the last edit.
    Nothing of this happens in a rehearsal (see `mark_rehearsal`).
    """
    if is_rehearsal(model):
        yield []
        return
    open_changes = vars(model).get(_ATTRIBUTE)
    if open_changes is not None:
        yield open_changes
        return
    sync_variables(model)
    _call_hook(model, "before_edit")
    changes: list[Any] = []
    object.__setattr__(model, _ATTRIBUTE, changes)
    is_whole = False
    try:
        yield changes
        is_whole = True
    finally:
        object.__delattr__(model, _ATTRIBUTE)
        if changes or not is_whole:
            # An edit that was undone has created new variables too.
            commit_variables(model)
            reset_compiled_functions(model)
        if changes:
            _call_hook(model, "after_edit")


def _call_hook(model: keras.Model, event: str) -> None:
    state = CheckpointState.find(model)
    for stateful in list(state.states.values()) if state else ():
        hook = getattr(stateful, event, None)
        if hook is not None:
            hook(model)


@contextlib.contextmanager
def mark_rehearsal(model: keras.Model) -> Iterator[None]:
    """Opens a context whose edits of a model are taken back at its end.

    They neither change its optimizer or masks nor compile it again.
    """
    object.__setattr__(model, _REHEARSAL, True)
    try:
        yield
    finally:
        vars(model).pop(_REHEARSAL, None)


def is_rehearsal(model: keras.Model) -> bool:
    """Returns whether the edits of a model are taken back."""
    return _REHEARSAL in vars(model)
