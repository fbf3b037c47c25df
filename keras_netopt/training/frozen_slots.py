"""Saves and loads the optimizer of a model with frozen weights.

A file written while weights are frozen holds an optimizer without their
slots, so it does not fit the optimizer of a new process, in which nothing is
frozen yet.
"""

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_netopt.training import optimizers
from keras_netopt.training.backend import commit_variables, sync_variables
from keras_netopt.training.checkpoint_state import Arrays
from keras_netopt.training.optimizer_hook import OptimizerHook
from keras_netopt.training.optimizer_subset import list_aside
from keras_netopt.training.order import find_fit_arguments
from keras_netopt.training.weight_store import read

_ATTRIBUTE = "_netopt_awaited"


def await_slots(model: keras.Model) -> None:
    """Holds the optimizer of a file that is loaded and does not fit.

    Call it before `fit` loads a checkpoint, and `take_awaited_slots` once the
    layers are frozen as they were when the file was written.
    """
    if _ATTRIBUTE in vars(model):
        vars(model)[_ATTRIBUTE].remove()  # Left by an interrupted `fit` call.
    object.__setattr__(model, _ATTRIBUTE, _AwaitedFile(model))


def take_awaited_slots(model: keras.Model) -> None:
    """Gives the held variables to the optimizer, which fits them now."""
    awaited = vars(model).pop(_ATTRIBUTE, None)
    if awaited is None:
        return
    awaited.remove()
    sync_variables(model)
    for owner, arrays in awaited.held.values():
        own = [v for v in owner.variables if not awaited.is_added(owner, v)]
        if len(own) != len(arrays):
            warnings.warn(
                f"Skipping variable loading for optimizer '{owner.name}', "
                f"because it has {len(own)} variables whereas the saved "
                f"optimizer has {len(arrays)} variables.",
                stacklevel=2,
            )
            continue
        for i, variable in enumerate(own):
            variable.assign(arrays[str(i)])
    commit_variables(model)


def read_aside(model: keras.Model) -> Arrays:
    """Copies the slots of frozen weights, by their place in the model."""
    place = {id(v): i for i, v in enumerate(model.variables)}
    return {
        f"{owner}:{place[id(variable)]}:{name}": read(slot)
        for owner, variable, name, slot in list_aside(model)
        if id(variable) in place
    }


def load_aside(model: keras.Model, arrays: Arrays) -> None:
    """Writes the slots that `read_aside` has read."""
    place = {id(v): i for i, v in enumerate(model.variables)}
    for owner, variable, name, slot in list_aside(model):
        array = arrays.get(f"{owner}:{place.get(id(variable))}:{name}")
        if array is not None and array.shape == tuple(slot.shape):
            slot.assign(array)


class _AwaitedFile:
    """Holds the variables of a file until the optimizer fits them.

    It is an `UpdateFilter` that changes no update: the hook that it belongs
    to asks it for each file whose variables do not fit.
    """

    order = 2

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self.held: dict[int, tuple[Any, Arrays]] = {}
        self._owners: list[Any] = []
        self._undos: list[Callable[[], None]] = []
        for optimizer in optimizers.find_optimizers(model).values():
            self._undos.append(OptimizerHook.add(optimizer, self))
            for owner in optimizers.optimizer_chain(optimizer):
                self._owners.append(owner)
                object.__setattr__(
                    owner, optimizers.AWAITING, self._take(owner)
                )

    @property
    def variables(self) -> tuple[Any, ...]:
        """It adds none to the optimizer."""
        return ()

    def before_update(
        self, gradients: list[Any], variables: list[Any]
    ) -> list[Any]:
        """Returns the gradients unchanged."""
        return gradients

    def after_update(self, variables: list[Any]) -> None:
        """Does nothing."""

    def _take(self, owner: Any) -> Callable[[Any], bool]:
        def take(store: Any) -> bool:
            if not find_fit_arguments(self._model):
                return False
            arrays = {key: np.array(store[key]) for key in store.keys()}
            self.held[id(owner)] = (owner, arrays)
            return True

        return take

    def is_added(self, owner: Any, variable: Any) -> bool:
        """Whether a variable of an optimizer is not in Keras' files."""
        added = OptimizerHook.added_variables(owner)
        return any(variable is one for one in added)

    def remove(self) -> None:
        """Removes the hooks."""
        for undo in self._undos:
            undo()
        for owner in self._owners:
            vars(owner).pop(optimizers.AWAITING, None)
