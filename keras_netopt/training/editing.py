"""Groups edits of a model's shapes or graph into one recompilation."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_netopt.training.backend import (
    commit_variables,
    reset_compiled_functions,
    sync_variables,
)
from keras_netopt.training.checkpoint_state import CheckpointState

_ATTRIBUTE = "_netopt_editing"


@dataclass
class EditRecord:
    """The changes made in one `editing` context, in order."""

    changes: list[Any] = field(default_factory=list)


@contextlib.contextmanager
def editing(model: keras.Model) -> Iterator[EditRecord]:
    """Opens a context in which a model may be edited, also inside `fit`.

    Variables can be read and written inside. At the end the compiled functions
    are reset once, for all edits. Contexts of the same model may be nested and
    then share one record. Callbacks with `before_edit(model)` or
    `after_edit(model)` are called before the first and after the last edit.

    Args:
        model: The model that is edited.

    Returns:
        A context manager that returns the record of the changes.
    """
    open_record = vars(model).get(_ATTRIBUTE)
    if open_record is not None:
        yield open_record
        return
    sync_variables(model)
    _call_hook(model, "before_edit")
    record = EditRecord()
    object.__setattr__(model, _ATTRIBUTE, record)
    is_whole = False
    try:
        yield record
        is_whole = True
    finally:
        object.__delattr__(model, _ATTRIBUTE)
        if record.changes or not is_whole:
            # An edit that was undone has created new variables too.
            commit_variables(model)
            reset_compiled_functions(model)
        if record.changes:
            _call_hook(model, "after_edit")


def _call_hook(model: keras.Model, event: str) -> None:
    state = CheckpointState.find(model)
    for stateful in list(state.states.values()) if state else ():
        hook = getattr(stateful, event, None)
        if hook is not None:
            hook(model)
