"""Dense weights behind straight-through masks."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training.backend import (
    commit_variables,
    reset_compiled_functions,
    sync_variables,
)
from keras_netopt.training.constraint import apply_mask
from keras_netopt.training.float_weights import DENSE_WEIGHTS
from keras_netopt.training.mask_store import MaskStore
from keras_netopt.training.master_store import MasterStore
from keras_netopt.training.replicas import count_replicas
from keras_netopt.training.swap_store import SwapStore
from keras_netopt.training.weight_store import read


class DenseStore(SwapStore):
    """The dense weights of a model whose masks are straight-through.

    Each weight holds `mask * dense`, so that the forward pass, files and
    reports see the sparse weight. The gradient taken there updates all dense
    weights, those of masked positions too: gradients and slots of these
    weights are not masked. A position that a new mask keeps returns with its
    dense value. In `float_weights` the variables hold the dense weights.

    With `decay`, `decay * dense` is added to the gradients of the masked
    positions (SR-STE).

    Create one with `DenseStore.attach`; `DenseStore.of` finds it. When both
    are loaded from a file, the masks come first.
    """

    entry = DENSE_WEIGHTS
    order = 2  # Statistics of masks see the weights of the forward pass.

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model)
        self._decay: dict[str, float] = {}

    @classmethod
    def attach(
        cls, model: keras.Model, keys: Iterable[str], decay: float = 0.0
    ) -> "DenseStore":
        """Makes the masks of some weights straight-through.

        The model's `MaskStore` must have these masks. The weights become the
        dense weights: attach the store before the masks are assigned. After
        `compile` with another optimizer the dense weights are moved to the
        new optimizer.
        """
        masks = MaskStore.attach(model, {})
        sync_variables(model)
        store, old = cls._find_or_create(model)
        changed = old is not None
        if old is not None:
            store._copy_from(old)
        store._watch_training()
        store.take_up()
        for key in keys:
            changed |= store._add(key, masks.variable(key), float(decay))
        if changed:
            commit_variables(model)
            reset_compiled_functions(model, inference=False)
        return store

    @classmethod
    def follow(cls, model: keras.Model) -> "DenseStore":
        """Moves the dense weights to the optimizer of a later `compile`."""
        return cls.attach(model, ())

    def take_up(self) -> tuple[str, ...]:
        """Makes weights that other code has written the new dense weights."""
        masters = MasterStore.of(self._model)
        if masters is None or self._held is not None:
            return super().take_up()
        with masters.hold_masters():
            return super().take_up()

    def detach(self, keys: Iterable[str] | None = None) -> None:
        """Forgets dense weights, all by default: only kept weights train."""
        super().detach(keys)
        store = MaskStore.of(self._model)
        if store is not None:
            store.project()

    def remap(self) -> None:
        """Creates the dense weights again after an edit, see `MasterStore`."""
        self._forget_removed()
        self._keep_own_variables()
        for key, variable in self._variables.items():
            self._masters[key] = self._new_master(variable)
            self._masters[key].assign(variable)

    def before_update(
        self, gradients: list[Any], variables: list[Any]
    ) -> list[Any]:
        """Puts the dense weights into the variables, and adds the decay."""
        super().before_update(gradients, variables)
        return [
            self._decayed(gradient, variable)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]

    def _decayed(self, gradient: Any, variable: Any) -> Any:
        key = self._by_id.get(id(variable))
        if key is None or gradient is None or not self._decay[key]:
            return gradient
        dense = ops.convert_to_tensor(self._masters[key])
        pruned = ops.logical_not(ops.convert_to_tensor(self._mask(key)))
        gradient = ops.convert_to_tensor(gradient)
        # Keras adds up the gradients of the replicas.
        decay = self._decay[key] / count_replicas()
        return gradient + decay * apply_mask(pruned, dense)

    def _mask(self, key: str) -> Any:
        return self._variables[key].constraint.mask

    def _project(self, key: str, weight: Any) -> Any:
        return apply_mask(self._mask(key), weight)

    def _is_projected(
        self, key: str, value: np.ndarray, master: np.ndarray
    ) -> bool:
        masked = np.where(read(self._mask(key)), master, 0)
        return np.array_equal(value, masked, equal_nan=True)

    def _release(
        self,
        key: str,
        variable: Any,
        before: np.ndarray | None,
        master: np.ndarray | None,
    ) -> None:
        # Not the value before: the mask may have changed.
        self._masters[key].assign(read(variable))
        self._project_weight(key)

    def _forget(self, key: str) -> None:
        self._variables[key].constraint.is_straight_through = False
        super()._forget(key)
        del self._decay[key]

    def _add(self, key: str, variable: Any, decay: float) -> bool:
        old = self._decay.get(key)
        self._decay[key] = decay
        if old is None:
            self._keep_master(key, variable)
            variable.constraint.is_straight_through = True
        return old != decay

    def _copy_from(self, old: "DenseStore") -> None:
        for undo in old._undos:
            undo()
        for key, variable in old._variables.items():
            self._add(key, variable, old._decay[key])
            self._masters[key].assign(read(old._masters[key]))
