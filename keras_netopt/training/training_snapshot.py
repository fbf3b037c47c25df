"""The values of all variables that training changes, at one step.

Private name of Keras 3.15: `_variables` of optimizers.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.training import optimizers
from keras_netopt.training.backend import commit_variables, sync_variables
from keras_netopt.training.checkpoint_state import Arrays
from keras_netopt.training.compiled_clone import copy_optimizer
from keras_netopt.training.optimizer_hook import OptimizerHook
from keras_netopt.training.weight_store import read

RATE = "learning_rate"


class TrainingSnapshot:
    """One copy of a model and of its optimizers, to go back to.

    It holds the weights, the seed states of random layers, and the counters,
    learning rates and slots of every optimizer that the model holds. Masks
    and other variables that this package adds to optimizers are not part of
    it, nor are random numbers outside the model: those of Python, NumPy and
    torch, and the order of the data. An array of zeros takes no memory.

    Args:
        arrays: What `take` or a file gave.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    @classmethod
    def take(cls, model: keras.Model) -> "TrainingSnapshot":
        """Copies the current values of a compiled, built model."""
        sync_variables(model)
        held = [*_weights(model), *_slots(model)]
        return cls({name: _shrink(read(one)) for name, one in held})

    def restore(self, model: keras.Model) -> None:
        """Sets all variables back, without a new trace of the step.

        Slots that did not exist yet are set to their initial values.
        """
        sync_variables(model)
        missing = set()
        for name, variable in (*_weights(model), *_slots(model)):
            if name in self.arrays:
                variable.assign(_expand(self.arrays[name], variable))
            else:
                missing.add(name)
        if missing:
            _reset(model, missing)
        commit_variables(model)


def reset_optimizers(model: keras.Model) -> None:
    """Sets counters and slots of all optimizers to their initial values.

    Learning rates stay. The variables must be writable, see
    `sync_variables`.
    """
    _reset(model, {name for name, _ in _slots(model)})


def check_optimizers(model: keras.Model) -> None:
    """Raises a ValueError if an optimizer cannot be copied.

    `reset_optimizers` needs copies.
    """
    for name, optimizer in optimizers.find_optimizers(model).items():
        _copy(name, optimizer)


def _weights(model: keras.Model) -> Iterator[tuple[str, Any]]:
    for place, variable in enumerate(model.variables):
        yield f"weight {place}", variable


def _slots(model: keras.Model) -> Iterator[tuple[str, Any]]:
    for name, optimizer in optimizers.find_optimizers(model).items():
        yield from _named(name, optimizer, model)


def _named(
    name: str, optimizer: Any, model: keras.Model
) -> Iterator[tuple[str, Any]]:
    """Names the variables of an optimizer; recompiling does not change them.

    A slot has the name of its list and the position of its weight in the
    model, whichever other layers are frozen.
    """
    place = {id(v): i for i, v in enumerate(model.variables)}
    added = {id(v) for v in OptimizerHook.added_variables(optimizer)}
    for depth, one in enumerate(optimizers.all_optimizers(optimizer)):
        found: dict[int, str] = {}
        for attribute, slots in optimizers.slot_lists(one):
            for i, slot in enumerate(slots):
                weight = one._trainable_variables[i]
                where = place.get(id(weight), weight.path)
                found.setdefault(id(slot), f"{attribute} {where}")
        own = [v for v in one._variables if id(v) not in added]
        others = [v for v in own if id(v) not in found]
        found |= {id(v): str(i) for i, v in enumerate(others)}
        for variable in own:
            yield f"{name} {depth} {found[id(variable)]}", variable


def _reset(model: keras.Model, names: set[str]) -> None:
    """Sets variables of optimizers to what a new optimizer has."""
    for attribute, optimizer in optimizers.find_optimizers(model).items():
        current = dict(_named(attribute, optimizer, model))
        if not names & set(current) or not optimizer.built:
            continue
        fresh = _copy(attribute, optimizer)
        with optimizers.variable_scope(model):
            fresh.build(_trained(optimizer))
        for name, variable in _named(attribute, fresh, model):
            if name in names and name in current and variable.name != RATE:
                current[name].assign(read(variable))


def _trained(optimizer: Any) -> list[Any]:
    return list(optimizers.innermost_optimizer(optimizer)._trainable_variables)


def _copy(name: str, optimizer: Any) -> Any:
    # Classes of users raise errors of any type.
    try:
        return copy_optimizer(optimizer)
    except Exception as error:
        raise ValueError(
            "The optimizers of a model must have a complete `get_config`, "
            f"from which their initial state is made, but: {error}. "
            f"Received: {name}={optimizer!r}"
        ) from error


def _shrink(array: np.ndarray) -> np.ndarray:
    """Returns one zero for an array of zeros."""
    return array if array.any() else np.zeros((), array.dtype)


def _expand(array: np.ndarray, variable: Any) -> np.ndarray:
    # A copy, because torch warns of arrays that cannot be written.
    return np.array(np.broadcast_to(array, tuple(variable.shape)))
