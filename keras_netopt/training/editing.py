"""Several edits of a model's shapes or graph, one refresh."""

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
    """Lets a model be changed, also inside a running `fit`.

    The variables can be read and written inside, and what was compiled is
    dropped once at the end, however many edits were made. Contexts of the
    same model may be nested and then share one record. What the model carries
    is told by `before_edit(model)` and `after_edit(model)` where it has them.

    Args:
        model: The model that is edited.

    Returns:
        A context manager that gives the record of the changes.
    """
    open_record = vars(model).get(_ATTRIBUTE)
    if open_record is not None:
        yield open_record
        return
    sync_variables(model)
    _tell(model, "before_edit")
    record = EditRecord()
    object.__setattr__(model, _ATTRIBUTE, record)
    is_whole = False
    try:
        yield record
        is_whole = True
    finally:
        object.__delattr__(model, _ATTRIBUTE)
        if record.changes or not is_whole:
            # An edit that was taken back has made new variables too.
            commit_variables(model)
            reset_compiled_functions(model)
        if record.changes:
            _tell(model, "after_edit")


def _tell(model: keras.Model, event: str) -> None:
    checkpoint_state = CheckpointState.find(model)
    for entry in (
        list(checkpoint_state.states.values()) if checkpoint_state else ()
    ):
        hook = getattr(entry, event, None)
        if hook is not None:
            hook(model)
