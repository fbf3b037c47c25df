"""Float masters of quantized weights, swapped inside the compiled step."""

from collections.abc import Mapping
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
from keras_netopt.training.checkpoint_state import Arrays
from keras_netopt.training.float_weights import MASTERS
from keras_netopt.training.swap_store import SwapStore
from keras_netopt.training.weight_store import read


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


class MasterStore(SwapStore):
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
        self._levels: dict[str, Any] = {}
        self._quantizers: dict[str, Quantizer] = {}

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

    @classmethod
    def follow(cls, model: keras.Model) -> "MasterStore":
        """Moves the masters to the optimizer of a later `compile`."""
        return cls.attach(model, {}, {})

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables that this store has added to the optimizer."""
        return (*self._masters.values(), *self._levels.values())

    def levels(self, key: str) -> np.ndarray | None:
        """Returns the levels of one quantizer, if it has any."""
        sync_variables(self._model)
        return read(self._levels[key]) if key in self._levels else None

    def assign_levels(self, levels: Mapping[str, np.ndarray]) -> None:
        """Sets levels and rounds the weights again."""
        sync_variables(self._model)
        for key, array in levels.items():
            self._levels[key].assign(array)
            self._project_weight(key)
        commit_variables(self._model)

    def remap(self) -> None:
        """Creates the masters again after variables have changed shapes.

        An edit runs in `float_weights`, so the variables hold the masters.
        Those of removed weights are dropped.
        """
        self._forget_removed()
        levels = {key: read(one) for key, one in self._levels.items()}
        self._keep_own_variables()
        for key, variable in self._variables.items():
            self._masters[key] = self._new_master(variable)
            self._masters[key].assign(variable)
            if key in levels:
                self._levels[key] = self._new_levels(key, levels[key])

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Returns masters and levels by the position of their weight."""
        values, state = super().save_state()
        for key, i in self._places().items():
            if key in self._levels:
                state[f"l:{i}"] = read(self._levels[key])
        return values, state

    def _saved(self, key: str) -> dict[str, Any]:
        found = super()._saved(key)
        return found | ({"l": self._levels[key]} if key in self._levels else {})

    def _project(self, key: str, weight: Any) -> Any:
        levels = self._levels.get(key)
        if levels is not None:
            levels = ops.convert_to_tensor(levels)
        return self._quantizers[key].quantize(weight, levels)

    def _is_projected(
        self, key: str, value: np.ndarray, master: np.ndarray
    ) -> bool:
        levels = self._levels.get(key)
        array = None if levels is None else read(levels)
        return self._quantizers[key].is_rounded(value, master, array)

    def _forget(self, key: str) -> None:
        super()._forget(key)
        del self._quantizers[key]
        if key in self._levels:
            optimizers.remove_variable(self._owner, self._levels.pop(key))

    def _add(self, key: str, variable: Any, quantizer: Quantizer) -> bool:
        old = self._quantizers.get(key)
        if old == quantizer:
            return False
        self._quantizers[key] = quantizer
        if old is None:
            self._keep_master(key, variable)
        if key in self._levels:
            optimizers.remove_variable(self._owner, self._levels.pop(key))
        levels = quantizer.create_levels(read(self._masters[key]))
        if levels is not None:
            self._levels[key] = self._new_levels(key, levels)
        if self._held is None:
            self._project_weight(key)
        return True

    def _new_levels(self, key: str, levels: np.ndarray) -> Any:
        with optimizers.variable_scope(self._model):
            created = self._owner.add_variable(
                shape=levels.shape,
                dtype="float32",
                initializer="zeros",
                layout=_whole_layout(levels.ndim),
                name=f"levels_{key.replace('/', '_')}",
                aggregation="only_first_replica",
            )
        created.assign(levels)
        return created

    def _copy_from(self, old: "MasterStore") -> None:
        for undo in old._undos:
            undo()
        for key, variable in old._variables.items():
            self._add(key, variable, old._quantizers[key])
            self._masters[key].assign(read(old._masters[key]))
            if key in old._levels:
                self._levels[key].assign(read(old._levels[key]))


def _whole_layout(axes: int) -> Any:
    """Returns the layout of a variable that each device holds whole, if any.

    A layout map knows it by its path, which holds that of a sharded weight.
    """
    mesh = getattr(keras.distribution.distribution(), "device_mesh", None)
    if mesh is None:
        return None
    return keras.distribution.TensorLayout([None] * axes, mesh)
