"""Remembers models and their training state, to take back a failed edit.

Private name of Keras 3.15: `Variable._value`.
"""

from collections.abc import Iterable
from typing import Any

import keras

from keras_netopt.graph.model_memory import ModelMemory
from keras_netopt.training.checkpoint_state import CheckpointState


class Savepoint:
    """Everything that an edit of some models may replace, by reference.

    Beside what `ModelMemory` holds these are the optimizers with their
    variables, masks and edit histories. Arrays are not copied: an edit gives a
    weight a new array and leaves the old one as it is, or says how to compute
    it again, see `exchange_value`. After `restore` compiled functions that
    were traced before are valid again.
    """

    def __init__(self, models: Iterable[keras.Layer]) -> None:
        self._models = list(models)
        self._memories = []
        self._values: list[tuple[Any, Any]] = []
        for model in self._models:
            kinds = _state_kinds(model)
            self._memories.append(ModelMemory(model, kinds))
            optimizer = getattr(model, "optimizer", None)
            if optimizer is not None:
                self._memories.append(ModelMemory(optimizer, kinds))
            if keras.backend.backend() == "tensorflow":
                variables = [
                    *model.variables,
                    *getattr(optimizer, "variables", ()),
                ]
                self._values += [(v, v._value) for v in variables]

    def restore(self) -> None:
        """Takes back what has happened since the savepoint was made."""
        for memory in self._memories:
            memory.restore()

    def replaced_values(self) -> list[Any]:
        """Lists the arrays that TensorFlow's functions may have captured.

        They belong to weights and slots that have other arrays since.
        """
        found = {
            id(old): old
            for variable, old in self._values
            if old is not None and old is not variable._value
        }
        return list(found.values())


def _state_kinds(model: Any) -> tuple[type, ...]:
    """Lists the classes of objects that hold state of a model's training."""
    state = CheckpointState.find(model)
    states = list(state.states.values()) if state is not None else []
    return (
        keras.optimizers.Optimizer,
        CheckpointState,
        *{
            type(one)
            for one in states
            if not isinstance(one, keras.callbacks.Callback)
        },
    )
