"""Groups edits of a model's shapes or graph into one recompilation."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import walk_layers
from keras_netopt.training.backend import (
    commit_variables,
    reset_compiled_functions,
    spoil_values,
    sync_variables,
    without_trainer_state,
)
from keras_netopt.training.checkpoint_state import CheckpointState
from keras_netopt.training.float_weights import float_weights
from keras_netopt.training.related_models import TrainedRelative, find_related
from keras_netopt.training.savepoint import Savepoint

_ATTRIBUTE = "_netopt_editing"
_REHEARSAL = "_netopt_rehearsal"


class Changes(list[Any]):
    """The changes made so far in an `editing` context.

    `related` are the other models, and layers of users, that hold layers of
    the model; `saved` is how all of them were before the first change.
    """

    def __init__(self, related: list[Any]) -> None:
        super().__init__()
        self.related = related
        self.saved: Savepoint | None = None

    def map_array(self, variable: Any, array: np.ndarray, kind: str) -> Any:
        """Maps an array of a variable's shape through all changes."""
        for change in self:
            array = change.map_array(variable, array, kind)
        return array


@contextlib.contextmanager
def editing(model: keras.Model) -> Iterator[list[Any]]:
    """Opens a context in which a model may be edited, also inside `fit`.

    Variables can be read and written inside. The context gives a list, to
    which each edit appends its change. At the end the compiled functions are
    reset once, for all edits, and other models that hold the edited layers
    are updated. After an exception the model is as it was, its compiled
    functions included. Contexts of the same model may be nested and then share
    one list; an exception takes back what its own context did. Callbacks with
    `before_edit(model)` or `after_edit(model)` are called before the first and
    after the last edit. Quantized weights hold their float masters inside.
    Nothing of this happens in a rehearsal (see `mark_rehearsal`).
    """
    if is_rehearsal(model):
        yield []
        return
    changes = vars(model).get(_ATTRIBUTE)
    if changes is not None:
        count = len(changes)
        saved = None if changes else changes.saved
        saved = saved or Savepoint([model, *changes.related])
        with _restored_on_failure(saved):
            try:
                yield changes
            except BaseException:
                del changes[count:]
                raise
        return
    sync_variables(model)
    related = find_related(model)
    with (
        without_trainer_state(model),
        float_weights(*walk_layers(model), *related),
        _outermost_editing(model, Changes(related)) as changes,
    ):
        yield changes


@contextlib.contextmanager
def _outermost_editing(
    model: keras.Model, changes: Changes
) -> Iterator[list[Any]]:
    relatives = TrainedRelative.list_all(model, changes.related)
    object.__setattr__(model, _ATTRIBUTE, changes)
    inside = [one.model for one in relatives]
    changes.saved = saved = Savepoint([model, *changes.related, *inside])
    try:
        with _restored_on_failure(saved):
            _call_hook(model, "before_edit")
            yield changes
            if changes:
                commit_variables(model)
                reset_compiled_functions(model)
                for relative in relatives:
                    relative.update(changes.map_array)
                _call_hook(model, "after_edit")
    finally:
        object.__delattr__(model, _ATTRIBUTE)
    if changes:
        spoil_values(saved.replaced_values())


def find_relatives(model: keras.Model) -> list[Any]:
    """Lists other holders of the layers of a model that is being edited."""
    changes = vars(model).get(_ATTRIBUTE)
    return [] if changes is None else changes.related


@contextlib.contextmanager
def _restored_on_failure(saved: Savepoint) -> Iterator[None]:
    try:
        yield
    except BaseException:
        saved.restore()
        raise


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
