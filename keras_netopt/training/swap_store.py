"""Weights that the optimizer updates in place of the stored ones."""

import contextlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training import optimizers
from keras_netopt.training.backend import (
    commit_variables,
    reset_compiled_functions,
    sync_variables,
)
from keras_netopt.training.checkpoint_state import Arrays, CheckpointState
from keras_netopt.training.fit_watch import list_watchers, watch_training
from keras_netopt.training.weight_store import WeightStore, read


class SwapStore(WeightStore):
    """Keeps a master of each chosen weight and swaps it in for the update.

    Each weight holds the projection of its master, which a subclass defines:
    rounded or masked. Around every update it holds its master, a variable of
    the optimizer: weight decay, clipping, averages and constraints act on the
    master. The gradient is that of the projected weight (straight-through).
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model)
        self._masters: dict[str, Any] = {}
        self._held: dict[str, tuple[np.ndarray, np.ndarray]] | None = None

    @classmethod
    @abstractmethod
    def follow(cls, model: keras.Model) -> "SwapStore":
        """Moves the store to the optimizer of a later `compile`."""

    @classmethod
    def follow_compile(cls, model: keras.Model) -> None:
        """Moves all stores of a model, in the order of their updates."""
        state = CheckpointState.find(model)
        for one in [] if state is None else list(state.states.values()):
            if isinstance(one, SwapStore):
                one.follow(model)

    @abstractmethod
    def _project(self, key: str, weight: Any) -> Any:
        """Returns the projection of a tensor."""

    @abstractmethod
    def _is_projected(
        self, key: str, value: np.ndarray, master: np.ndarray
    ) -> bool:
        """Whether a value is the projection of a master."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the weights that have a master."""
        return tuple(self._masters)

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables that this store has added to the optimizer."""
        return tuple(self._masters.values())

    def masters(self, keys: Iterable[str] | None = None) -> Arrays:
        """Returns masters, all by default."""
        return self._read_all(self._masters, keys)

    def values(self, keys: Iterable[str] | None = None) -> Arrays:
        """Returns the projected weights, all by default."""
        return self._read_all(self._variables, keys)

    def take_up(self) -> tuple[str, ...]:
        """Makes weights that other code has written the new masters.

        Averages at the end of `fit`, `set_weights`, `load_weights` and
        callbacks that restore weights write the variables, not the masters.
        Returns the keys.
        """
        if self._held is not None:
            return ()
        sync_variables(self._model)
        found = []
        for key, variable in self._variables.items():
            value, master = read(variable), read(self._masters[key])
            if not self._is_projected(key, value, master):
                self._masters[key].assign(value)
                self._project_weight(key)
                found.append(key)
        if found:
            commit_variables(self._model)
        return tuple(found)

    @contextlib.contextmanager
    def hold_masters(self) -> Iterator[None]:
        """Opens the context of `float_weights` for this store."""
        if self._held is not None:
            yield
            return
        self.take_up()
        self._held = {}
        try:
            for key, variable in self._variables.items():
                master = self._masters[key]
                self._held[key] = read(variable), read(master)
                variable.assign(master)
            commit_variables(self._model)
            yield
        finally:
            held, self._held = self._held, None
            sync_variables(self._model)
            for key, variable in self._variables.items():
                self._release(key, variable, *held.get(key, (None, None)))
            commit_variables(self._model)

    def detach(self, keys: Iterable[str] | None = None) -> None:
        """Removes masters, all by default; the weights do not change."""
        sync_variables(self._model)
        for key in list(self.keys if keys is None else keys):
            self._forget(key)
        if not self._masters:
            for undo in self._undos:
                undo()
            states = CheckpointState.of(self._model).states
            states.pop(self.entry, None)
            for other in states.values():
                if isinstance(other, SwapStore):
                    other._watch_training()
        if self._optimizers[0] is self._model.optimizer:
            reset_compiled_functions(self._model, inference=False)

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Returns masters by the position of their weight."""
        places = self._places().items()
        return {}, {f"w:{i}": read(self._masters[key]) for key, i in places}

    def load_state(self, state: Arrays) -> None:
        """Loads the masters of a file for the weights that have one.

        A weight of the file that is not the projected master becomes the
        master. The weights of another model raise a ValueError.
        """
        sync_variables(self._model)
        for key, i in self._places().items():
            for kind, variable in self._saved(key).items():
                array = state.get(f"{kind}:{i}")
                if array is None:
                    continue
                if array.shape != tuple(variable.shape):
                    raise ValueError(
                        f"The master of `{key}` in the file has another shape "
                        f"than the weight. Received: shape={array.shape}, "
                        f"expected {tuple(variable.shape)}"
                    )
                variable.assign(array)
        commit_variables(self._model)
        self.take_up()

    def _saved(self, key: str) -> dict[str, Any]:
        """Returns the variables of a key by the letter of the file."""
        return {"w": self._masters[key]}

    def before_update(
        self, gradients: list[Any], variables: list[Any]
    ) -> list[Any]:
        """Puts the masters into the variables."""
        for variable in variables:
            key = self._by_id.get(id(variable))
            if key is not None:
                variable.assign(self._masters[key])
        return gradients

    def after_update(self, variables: list[Any]) -> None:
        """Takes the masters out of the variables and projects these."""
        for variable in variables:
            key = self._by_id.get(id(variable))
            if key is not None:
                new = ops.convert_to_tensor(variable)
                self._masters[key].assign(new)
                variable.assign(self._project(key, new))

    def _project_weight(self, key: str) -> None:
        master = ops.convert_to_tensor(self._masters[key])
        self._variables[key].assign(self._project(key, master))

    def _release(
        self,
        key: str,
        variable: Any,
        before: np.ndarray | None,
        master: np.ndarray | None,
    ) -> None:
        now = read(variable)
        if before is not None and np.array_equal(now, master):
            # The step may round another way in the last bit.
            variable.assign(before)
            return
        self._masters[key].assign(now)
        self._project_weight(key)

    def _forget(self, key: str) -> None:
        del self._by_id[id(self._variables.pop(key))]
        optimizers.remove_variable(self._owner, self._masters.pop(key))

    def _forget_removed(self) -> None:
        """Drops the masters of weights that an edit has removed."""
        present = {id(v) for v in self._model.variables}
        for key, variable in list(self._variables.items()):
            if id(variable) not in present:
                self._forget(key)

    def _keep_master(self, key: str, variable: Any) -> None:
        """Adds the master of a variable, with its value."""
        self._variables[key] = variable
        self._by_id[id(variable)] = key
        self._masters[key] = self._new_master(variable)
        self._masters[key].assign(variable)

    def _new_master(self, variable: Any) -> Any:
        with optimizers.variable_scope(self._model):
            return self._owner.add_variable_from_reference(
                variable, name="master"
            )

    def _watch_training(self) -> None:
        """Follows the model whenever `fit` or a batch begins.

        Written weights become masters, which move to the optimizer of a
        later `compile`.
        """
        model = self._model
        if any(isinstance(one, SwapStore) for one in list_watchers(model)):
            return
        self._undos.append(
            watch_training(model, self, lambda: SwapStore.follow_compile(model))
        )
