"""Float masters of quantized weights, swapped inside the compiled step."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

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
from keras_netopt.training.float_weights import MASTERS
from keras_netopt.training.override_method import override_method
from keras_netopt.training.weight_store import WeightStore, read

Transform = Any


class Quantizer(Protocol):
    """Rounds a weight, maybe to levels that are a variable of their own."""

    def create_levels(self, weight: np.ndarray) -> np.ndarray | None:
        """Returns the first levels, `None` if they are not variables."""
        ...

    def quantize(self, weight: Any, levels: Any) -> Any:
        """Rounds a tensor, inside the step."""
        ...

    def is_rounded(
        self, value: np.ndarray, master: np.ndarray, levels: Any
    ) -> bool:
        """Whether a value is the rounded master, up to rounding errors."""
        ...


class MasterStore(WeightStore):
    """The float masters of a compiled model's quantized weights.

    Each weight holds its rounded value. Around every update it holds its
    master, a variable of the optimizer: weight decay, clipping, averages,
    constraints and masks act on the master, and the result is rounded.

    Create one with `MasterStore.attach`; `MasterStore.of` finds it.
    """

    entry = MASTERS
    order = 0  # Masks and their statistics see the masters.

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model)
        self._masters: dict[str, Any] = {}
        self._levels: dict[str, Any] = {}
        self._quantizers: dict[str, Quantizer] = {}
        self._held: dict[str, tuple[np.ndarray, np.ndarray]] | None = None

    @classmethod
    def attach(
        cls,
        model: keras.Model,
        variables: Mapping[str, Any],
        quantizers: Mapping[str, Quantizer],
    ) -> "MasterStore":
        """Adds a master to each variable and rounds the variable.

        A variable that has a master keeps it and is rounded by its new
        quantizer. After `compile` with another optimizer the masters are
        moved to the new optimizer.
        """
        sync_variables(model)
        store, old = cls._find_or_create(model)
        changed = old is not None
        if old is not None:
            store._copy_from(old)
        store._watch_training()
        store.take_up()
        for key, variable in variables.items():
            changed |= store._add(key, variable, quantizers[key])
        if changed:
            commit_variables(model)
            reset_compiled_functions(model, inference=False)
        return store

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the quantized variables."""
        return tuple(self._masters)

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables that this store has added to the optimizer."""
        return (*self._masters.values(), *self._levels.values())

    def masters(self, keys: Iterable[str] | None = None) -> Arrays:
        """Returns masters, all by default."""
        return self._read_all(self._masters, keys)

    def values(self, keys: Iterable[str] | None = None) -> Arrays:
        """Returns the rounded variables, all by default."""
        return self._read_all(self._variables, keys)

    def levels(self, key: str) -> np.ndarray | None:
        """Returns the levels of one quantizer, if it has any."""
        sync_variables(self._model)
        return read(self._levels[key]) if key in self._levels else None

    def assign_levels(self, levels: Mapping[str, np.ndarray]) -> None:
        """Sets levels and rounds the weights again."""
        sync_variables(self._model)
        for key, array in levels.items():
            self._levels[key].assign(array)
            self._round(key)
        commit_variables(self._model)

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
            levels = self._levels.get(key)
            array = None if levels is None else read(levels)
            if not self._quantizers[key].is_rounded(value, master, array):
                self._masters[key].assign(value)
                self._round(key)
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
            CheckpointState.of(self._model).states.pop(self.entry, None)
        if self._optimizers[0] is self._model.optimizer:
            reset_compiled_functions(self._model, inference=False)

    def remap(self) -> None:
        """Creates the masters again after variables have changed shapes.

        An edit runs in `float_weights`, so the variables hold the masters.
        Those of removed weights are dropped.
        """
        present = {id(v) for v in self._model.variables}
        for key, variable in list(self._variables.items()):
            if id(variable) not in present:
                self._forget(key)
        levels = {key: read(one) for key, one in self._levels.items()}
        self._keep_own_variables()
        for key, variable in self._variables.items():
            self._masters[key] = self._new_master(variable)
            self._masters[key].assign(variable)
            if key in levels:
                self._levels[key] = self._new_levels(key, levels[key])

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Returns masters and levels by the position of their weight."""
        state = {}
        for key, i in self._places().items():
            state[f"w:{i}"] = read(self._masters[key])
            if key in self._levels:
                state[f"l:{i}"] = read(self._levels[key])
        return {}, state

    def load_state(self, state: Arrays) -> None:
        """Loads the masters of a file for the weights that have one.

        A weight of the file that is not the rounded master becomes the
        master. The weights of another model raise a ValueError.
        """
        sync_variables(self._model)
        for key, i in self._places().items():
            for added, name in ((self._masters, "w"), (self._levels, "l")):
                array = state.get(f"{name}:{i}")
                if array is None or key not in added:
                    continue
                if array.shape != tuple(added[key].shape):
                    raise ValueError(
                        f"The master of `{key}` in the file has another shape "
                        f"than the weight. Received: shape={array.shape}, "
                        f"expected {tuple(added[key].shape)}"
                    )
                added[key].assign(array)
        commit_variables(self._model)
        self.take_up()

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
        """Takes the masters out of the variables and rounds these."""
        for variable in variables:
            key = self._by_id.get(id(variable))
            if key is not None:
                new = ops.convert_to_tensor(variable)
                self._masters[key].assign(new)
                variable.assign(self._quantize(key, new))

    def _quantize(self, key: str, weight: Any) -> Any:
        levels = self._levels.get(key)
        if levels is not None:
            levels = ops.convert_to_tensor(levels)
        return self._quantizers[key].quantize(weight, levels)

    def _round(self, key: str) -> None:
        master = ops.convert_to_tensor(self._masters[key])
        self._variables[key].assign(self._quantize(key, master))

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
        self._round(key)

    def _forget(self, key: str) -> None:
        del self._by_id[id(self._variables.pop(key))]
        del self._quantizers[key]
        for added in (self._masters, self._levels):
            if key in added:
                optimizers.remove_variable(self._owner, added.pop(key))

    def _add(self, key: str, variable: Any, quantizer: Quantizer) -> bool:
        old = self._quantizers.get(key)
        if old == quantizer:
            return False
        self._quantizers[key] = quantizer
        if old is None:
            self._variables[key] = variable
            self._by_id[id(variable)] = key
            self._masters[key] = self._new_master(variable)
            self._masters[key].assign(variable)
        if key in self._levels:
            optimizers.remove_variable(self._owner, self._levels.pop(key))
        levels = quantizer.create_levels(read(self._masters[key]))
        if levels is not None:
            self._levels[key] = self._new_levels(key, levels)
        if self._held is None:
            self._round(key)
        return True

    def _new_master(self, variable: Any) -> Any:
        with optimizers.variable_scope(self._model):
            return self._owner.add_variable_from_reference(
                variable, name="master"
            )

    def _new_levels(self, key: str, levels: np.ndarray) -> Any:
        with optimizers.variable_scope(self._model):
            created = self._owner.add_variable(
                shape=levels.shape,
                dtype="float32",
                initializer="zeros",
                name=f"levels_{key.replace('/', '_')}",
                aggregation="only_first_replica",
            )
        created.assign(levels)
        return created

    def _watch_training(self) -> None:
        """Follows the model whenever `fit` or a batch begins.

        Written weights become masters, which move to the optimizer of a
        later `compile`.
        """
        model, original = self._model, self._model.make_train_function
        if "make_train_function" in vars(model):
            return

        def make_train_function(force: bool = False) -> Any:
            if not force:
                MasterStore.attach(model, {}, {})
            return original(force=force)

        self._undos.append(
            override_method(model, "make_train_function", make_train_function)
        )

    def _copy_from(self, old: "MasterStore") -> None:
        for undo in old._undos:
            undo()
        for key, variable in old._variables.items():
            self._add(key, variable, old._quantizers[key])
            self._masters[key].assign(read(old._masters[key]))
            if key in old._levels:
                self._levels[key].assign(read(old._levels[key]))
