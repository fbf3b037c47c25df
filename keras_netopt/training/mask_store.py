"""Masks of weights, applied inside the compiled training step."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
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
from keras_netopt.training.constraint import MaskConstraint, apply_mask
from keras_netopt.training.float_weights import float_weights
from keras_netopt.training.lazy_arrays import LazyArrays
from keras_netopt.training.mask_file import unpack_mask, variables_by_name
from keras_netopt.training.replicas import sum_over_replicas
from keras_netopt.training.weight_store import WeightStore, read
from keras_netopt.training.zero_masked import list_owned, zero_masked

Accumulate = Callable[[Any, Any, Any], Any]
Memory = dict[str, tuple[np.ndarray, np.ndarray | None]]
Transform = Callable[[Any, np.ndarray, str], np.ndarray]


class MaskStore(WeightStore):
    """The masks of a compiled model, applied by every optimizer step.

    Each mask is a boolean variable of the optimizer. A variable constraint
    sets masked weights to zero at the end of every optimizer step. The
    gradients are masked before they enter the optimizer, so masked entries do
    not affect momentum, clipping by norm and moving averages. The model's
    config and Keras' part of its files do not change.

    Create one with `MaskStore.attach`; `MaskStore.of` finds it. `labels` holds
    a word per mask, for reports.
    """

    entry = "masks"
    order = 1

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model)
        self._masks: dict[str, Any] = {}
        self._statistics: dict[str, Any] = {}
        self._accumulate: dict[str, Accumulate] = {}
        self.labels: dict[str, str] = {}

    @classmethod
    def attach(
        cls,
        model: keras.Model,
        variables: Mapping[str, Any],
        accumulate: Accumulate | None = None,
    ) -> "MaskStore":
        """Adds a mask of ones to each trainable variable that has no mask.

        The masks are variables of `model.optimizer`; the gradients of other
        optimizers that the model holds are masked too. A second call adds
        nothing. After `compile` with another optimizer the current masks are
        moved to the new optimizer. `accumulate` is
        `(statistic, weight, gradient) -> statistic` in `keras.ops`, run
        inside every step before the gradients are masked.
        """
        store, old = cls._find_or_create(model)
        changed = old is not None
        if old is not None:
            store._copy_from(old)
        for key, variable in variables.items():
            changed |= store._add(key, variable, accumulate)
        if changed:
            commit_variables(model)
            reset_compiled_functions(model, inference=False)
        return store

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the masked variables."""
        return tuple(self._masks)

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables that this store has added to the optimizer."""
        return (*self._masks.values(), *self._statistics.values())

    def variable(self, key: str) -> Any:
        """Returns the weight of a mask."""
        return self._variables[key]

    def masks(self, keys: Iterable[str] | None = None) -> Arrays:
        """Returns masks, all by default; `True` marks a kept weight."""
        return self._read_all(self._masks, keys)

    def weights(self, keys: Iterable[str] | None = None) -> Arrays:
        """Returns weights as the optimizer updates them, all by default.

        These are masters if quantized, dense weights if the masks are
        straight-through.
        """
        with float_weights(self._model):
            return self._read_all(self._variables, keys)

    def view_masks(self, keys: Iterable[str]) -> LazyArrays:
        """Returns masks that are read one at a time, without copies."""
        return self._view_all(self._masks, keys)

    def view_weights(self, keys: Iterable[str]) -> LazyArrays:
        """Returns weights that are read one at a time, without copies.

        Read them in a context of `float_weights`.
        """
        return self._view_all(self._variables, keys)

    def view_statistics(self, keys: Iterable[str]) -> LazyArrays:
        """Returns statistics that are read one at a time, without copies."""
        return self._view_all(self._statistics, keys)

    def statistics(self, keys: Iterable[str] | None = None) -> Arrays:
        """Returns the statistics of `accumulate`, all by default."""
        return self._read_all(self._statistics, keys)

    def reset_statistics(self, keys: Iterable[str]) -> None:
        """Resets the statistics of some variables to zero."""
        sync_variables(self._model)
        for key in keys:
            statistic = self._statistics[key]
            statistic.assign(ops.zeros(statistic.shape, statistic.dtype))
        commit_variables(self._model)

    def assign(
        self, masks: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]]
    ) -> None:
        """Sets boolean masks; masked weights and slots become zero.

        Pairs of keys and masks may come from an iterator, which reads weights
        and masks that are not set yet.
        """
        pairs = masks.items() if isinstance(masks, Mapping) else masks
        with float_weights(self._model):
            sync_variables(self._model)
            owned = list_owned(self._model, self._optimizers)
            try:
                for key, mask in pairs:
                    self._masks[key].assign(mask)
                    self._zero_masked(key, owned=owned)
            finally:
                commit_variables(self._model)

    def project(self, *, slots: bool = True) -> None:
        """Sets masked weights to zero again after other code wrote to them.

        With `slots` the optimizer slots are set to zero too, which is
        necessary after a file was loaded.
        """
        with float_weights(self._model):
            sync_variables(self._model)
            for key in self._masks:
                self._zero_masked(key, slots=slots)

    def leaks(self, keys: Sequence[str]) -> int:
        """Counts variables whose masked weights are not all zero."""
        pairs = zip(
            self.view_masks(keys),
            self._view_all(self._variables, keys),
            strict=True,
        )
        return sum(bool(weight[~mask].any()) for mask, weight in pairs)

    def detach(self) -> None:
        """Removes masks, hooks and constraints; weights do not change."""
        sync_variables(self._model)
        for undo in self._undos:
            undo()
        for key, variable in self._variables.items():
            if isinstance(variable.constraint, MaskConstraint):
                variable.constraint = variable.constraint.inner
            optimizers.remove_variable(self._owner, self._masks[key])
        for statistic in self._statistics.values():
            optimizers.remove_variable(self._owner, statistic)
        CheckpointState.of(self._model).states.pop(self.entry, None)
        if self._optimizers[0] is self._model.optimizer:
            reset_compiled_functions(self._model, inference=False)

    def memory(self) -> Memory:
        """Returns masks and statistics before an edit, for `remap`."""
        statistics = self.statistics()
        return {k: (m, statistics.get(k)) for k, m in self.masks().items()}

    def remap(self, memory: Memory, transform: Transform) -> None:
        """Creates the masks again after variables have changed their shapes.

        `transform` is `(variable, array, kind) -> array` in the variable's
        current shape; kind is "index" for masks and "gradient" for
        statistics.
        """
        self._keep_own_variables()
        for key, (mask, statistic) in memory.items():
            variable = self._variables[key]
            self._masks[key] = self._new_mask(variable)
            self._masks[key].assign(transform(variable, mask, "index"))
            _constrain(variable, self._masks[key])
            if statistic is not None:
                self._statistics[key] = self._new_statistic(variable)
                self._statistics[key].assign(
                    transform(variable, statistic, "gradient")
                )
            self._zero_masked(key)

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Packs masks to bits, by the position of their weight."""
        state = {}
        for key, i in self._places().items():
            state[f"m:{i}"] = np.packbits(read(self._masks[key]))
            if key in self._statistics:
                state[f"s:{i}"] = read(self._statistics[key])
        return {}, state

    def load_state(self, state: Arrays) -> None:
        """Loads the masks of a file, also for weights without a mask.

        It raises ValueError if the model has fewer weights, or weights of
        other sizes.
        """
        sync_variables(self._model)
        found = variables_by_name(self._model, state)
        new = {k: v for k, v in found.items() if k not in self._masks}
        MaskStore.attach(self._model, new)
        for name, array in state.items():
            one = variables_by_name(self._model, [name])
            key, variable = next(iter(one.items()))
            if name.startswith("m:"):
                self._masks[key].assign(unpack_mask(array, variable))
            elif key in self._statistics:
                self._statistics[key].assign(array)
        self.project()

    def before_update(
        self, gradients: list[Any], variables: list[Any]
    ) -> list[Any]:
        """Masks the gradients; called by `OptimizerHook`."""
        self._update_statistics(gradients, variables)
        return [
            self._masked_gradient(gradient, variable)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]

    def after_update(self, variables: list[Any]) -> None:
        """Does nothing: the constraints mask the weights."""

    def _update_statistics(
        self, gradients: list[Any], variables: list[Any]
    ) -> None:
        """Updates the statistics with the gradients of the whole batch."""
        measured = [
            (self._by_id[id(variable)], variable, gradient)
            for gradient, variable in zip(gradients, variables, strict=True)
            if gradient is not None
            and self._by_id.get(id(variable)) in self._statistics
        ]
        sums = sum_over_replicas(
            [ops.convert_to_tensor(gradient) for _, _, gradient in measured]
        )
        for (key, variable, _), gradient in zip(measured, sums, strict=True):
            held = self._statistics[key]
            held.assign(self._accumulate[key](held, variable, gradient))

    def _masked_gradient(self, gradient: Any, variable: Any) -> Any:
        key = self._by_id.get(id(variable))
        if key is None or gradient is None:
            return gradient
        gradient = ops.convert_to_tensor(gradient)
        if variable.constraint.is_straight_through:
            return gradient
        return apply_mask(self._masks[key], gradient)

    def _add(
        self, key: str, variable: Any, accumulate: Accumulate | None
    ) -> bool:
        changed = key not in self._masks
        if changed:
            self._variables[key] = variable
            self._by_id[id(variable)] = key
            self._masks[key] = self._new_mask(variable)
            if isinstance(variable.constraint, MaskConstraint):
                # Masked in another model that shares the weight.
                self._masks[key].assign(read(variable.constraint.mask))
            _constrain(variable, self._masks[key])
        return self._set_statistic(key, variable, accumulate) or changed

    def _set_statistic(
        self, key: str, variable: Any, accumulate: Accumulate | None
    ) -> bool:
        """Adds, replaces or removes the statistic of a variable."""
        function = getattr(accumulate, "__func__", accumulate)
        old = self._accumulate.get(key)
        if function is getattr(old, "__func__", old):
            return False
        if key in self._statistics:
            optimizers.remove_variable(self._owner, self._statistics.pop(key))
        self._accumulate.pop(key, None)
        if accumulate is not None:
            self._accumulate[key] = accumulate
            self._statistics[key] = self._new_statistic(variable)
        return True

    def _new_mask(self, variable: Any) -> Any:
        with optimizers.variable_scope(self._model):
            return self._owner.add_variable(
                shape=variable.shape,
                dtype="bool",
                initializer="ones",
                name=f"mask_{variable.path.replace('/', '_')}",
                aggregation="only_first_replica",
                layout=getattr(variable, "_layout", None),
            )

    def _new_statistic(self, variable: Any) -> Any:
        with optimizers.variable_scope(self._model):
            return self._owner.add_variable_from_reference(
                variable, name="statistic"
            )

    def _copy_from(self, old: "MaskStore") -> None:
        for undo in old._undos:
            undo()
        self.labels.update(old.labels)
        for key, variable in old._variables.items():
            self._add(key, variable, old._accumulate.get(key))
            self._masks[key].assign(read(old._masks[key]))
            if key in old._statistics:
                self._statistics[key].assign(read(old._statistics[key]))
            self._zero_masked(key)

    def _zero_masked(
        self,
        key: str,
        *,
        slots: bool = True,
        owned: Container[int] = frozenset(),
    ) -> None:
        variable, mask = self._variables[key], self._masks[key]
        if variable.constraint.is_straight_through:
            return  # Its `DenseStore` masks it, and all slots are in use.
        found = [
            slot
            for optimizer in (self._optimizers if slots else ())
            for slot in optimizers.find_slots(optimizer, variable)
        ]
        for target in (variable, *found):
            zero_masked(target, mask, in_place=id(target) in owned)


def _constrain(variable: Any, mask: Any) -> None:
    old = variable.constraint
    if not isinstance(old, MaskConstraint):
        variable.constraint = MaskConstraint(mask, old)
        return
    variable.constraint = MaskConstraint(mask, old.inner)
    variable.constraint.is_straight_through = old.is_straight_through
