"""Shrinks groups of weights towards zero after each step of the optimizer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training import optimizers
from keras_netopt.training.backend import (
    reset_compiled_functions,
    sync_variables,
)
from keras_netopt.training.fit_watch import list_watchers, watch_training
from keras_netopt.training.optimizer_hook import OptimizerHook, UpdateFilter
from keras_netopt.training.order import find_fit_arguments
from keras_netopt.training.weight_store import read

TINY = 1e-30


@dataclass(frozen=True, eq=False)
class GroupPart:
    """Slices of one variable, each a part of a group.

    Args:
        variable: The variable.
        axis: The axis along which its slices are numbered.
        index: The group of each slice; the number of groups for none.
    """

    variable: Any
    axis: int
    index: np.ndarray

    def along(self, values: Any) -> Any:
        """Returns a value per group as one per slice, to multiply with."""
        shape = [1] * len(self.variable.shape)
        shape[self.axis] = -1
        index = ops.convert_to_tensor(self.index)
        return ops.reshape(ops.take(values, index, axis=0), shape)


@dataclass(frozen=True, eq=False)
class ShrunkGroups:
    """Groups of weights that become zero together.

    Args:
        parts: The weights whose norm is penalized.
        followers: Weights that are zero where their group is, those that are
            frozen excepted. Defaults to none.
        weights: The factor of the strength of each group.
    """

    parts: tuple[GroupPart, ...]
    weights: np.ndarray
    followers: tuple[GroupPart, ...] = ()

    def norms(self) -> np.ndarray:
        """Returns the norm of each group; reads the variables."""
        total = np.zeros(len(self.weights) + 1)
        for part in self.parts:
            array = np.square(read(part.variable).astype("float64"))
            others = tuple(k for k in range(array.ndim) if k != part.axis)
            np.add.at(total, part.index, array.sum(axis=others))
        return np.asarray(np.sqrt(total[:-1]))

    def shrink(self, step: Any, is_updated: Callable[[Any], bool]) -> None:
        """Makes the proximal step of a group lasso, in `keras.ops`.

        A norm n becomes max(n - step * weight, 0), by one factor for all
        weights of the group. A group of one weight is a soft threshold.
        """
        count = len(self.weights)
        total = ops.zeros(count + 1, "float32")
        for part in self.parts:
            value = ops.cast(part.variable, "float32")
            others = [k for k in range(len(value.shape)) if k != part.axis]
            squares = ops.sum(ops.square(value), axis=others)
            total = total + ops.segment_sum(
                squares, ops.convert_to_tensor(part.index), count + 1
            )
        norm = ops.sqrt(total)
        weights: np.ndarray = np.append(self.weights, 0.0)
        weights = weights.astype("float32")
        limits = ops.cast(step, "float32") * ops.convert_to_tensor(weights)
        # Slices of no group have the number `count` and keep their values.
        is_other = ops.convert_to_tensor(np.arange(count + 1) == count)
        kept = ops.logical_or(norm > limits, is_other)
        factor = 1 - limits / ops.where(kept, ops.maximum(norm, TINY), 1.0)
        for part in self.parts:
            _scale(part, kept, factor)
        for part in self.followers:
            if is_updated(part.variable):
                _scale(part, kept, None)


class GroupShrinker:
    """Shrinks groups of weights inside the compiled training step.

    The step is the learning rate times the strength, as in proximal gradient
    descent: a group becomes exactly zero, and stays so while the optimizer
    moves it by less. It ends with the `fit` call of its callback, even with
    one that raises: the next `fit` or `train_on_batch` detaches it.

    Args:
        model: The compiled model.
        groups: The groups; `set_groups` replaces them.
        strength: The factor of the penalty.
        callback: The callback of the running `fit` call.
    """

    def __init__(
        self,
        model: keras.Model,
        groups: Sequence[ShrunkGroups],
        strength: float,
        callback: keras.callbacks.Callback,
    ) -> None:
        self.groups = tuple(groups)
        self.strength = strength
        self._model = model
        self._callback = callback
        self._undos: list[Callable[[], None]] = []
        self._hook()
        self._unwatch = watch_training(model, self, self._leave_other_fit)
        sync_variables(model)
        reset_compiled_functions(model, inference=False)

    @classmethod
    def follow_compile(cls, model: keras.Model) -> None:
        """Moves the penalty to the optimizers of a later `compile`."""
        for one in list_watchers(model):
            if isinstance(one, cls):
                one._hook()

    def set_groups(self, groups: Sequence[ShrunkGroups]) -> None:
        """Replaces the groups after an edit, which compiles the step again."""
        self.groups = tuple(groups)

    def dead_share(self) -> float:
        """Returns the share of the groups that are zero."""
        sync_variables(self._model)
        norms = [one.norms() for one in self.groups]
        dead = sum(int((norm == 0).sum()) for norm in norms)
        return dead / max(1, sum(len(norm) for norm in norms))

    def detach(self) -> None:
        """Ends the penalty, from the next step on."""
        sync_variables(self._model)
        self._unhook()
        self._unwatch()
        reset_compiled_functions(self._model, inference=False)

    def _hook(self) -> None:
        self._unhook()
        for optimizer in optimizers.find_optimizers(self._model).values():
            one = _OneOptimizer(self, optimizer)
            self._undos.append(OptimizerHook.add(optimizer, one))

    def _unhook(self) -> None:
        while self._undos:
            self._undos.pop()()

    def _leave_other_fit(self) -> None:
        """Ends the penalty if its callback is not in the running `fit`."""
        found = find_fit_arguments(self._model).get("callbacks")
        listed = getattr(found, "callbacks", found)
        if not isinstance(listed, (list, tuple)):
            listed = [listed]
        if all(one is not self._callback for one in listed):
            self.detach()


class _OneOptimizer(UpdateFilter):
    """The part of a shrinker in one optimizer."""

    # After the update, before masks and masters see the result.
    order = 3
    variables: tuple[Any, ...] = ()

    def __init__(self, shrinker: GroupShrinker, optimizer: Any) -> None:
        self._shrinker = shrinker
        # One, or the parts of a MultiOptimizer.
        self._parts = list(optimizers.all_optimizers(optimizer))

    def before_update(
        self, gradients: list[Any], variables: list[Any]
    ) -> list[Any]:
        """Returns the gradients unchanged."""
        return gradients

    def after_update(self, variables: list[Any]) -> None:
        """Shrinks the groups that this optimizer updates."""
        own = {id(one) for one in variables}

        def is_own(variable: Any) -> bool:
            return id(variable) in own

        for groups in self._shrinker.groups:
            if all(is_own(part.variable) for part in groups.parts):
                step = self._step(groups.parts[0].variable)
                groups.shrink(step, is_own)

    def _step(self, variable: Any) -> Any:
        """Returns the learning rate of a variable times the strength."""
        owner = next(
            one
            for one in reversed(self._parts)
            if any(variable is own for own in one._trainable_variables)
        )
        # With accumulation, `apply` is called for each part of a step.
        parts = owner.gradient_accumulation_steps or 1
        rate = ops.cast(owner.learning_rate, "float32")
        return rate * (self._shrinker.strength / parts)


def _scale(part: GroupPart, kept: Any, factor: Any) -> None:
    value = ops.convert_to_tensor(part.variable)
    new = value
    if factor is not None:
        new = value * ops.cast(part.along(factor), value.dtype)
    new = ops.where(part.along(kept), new, ops.zeros_like(value))
    part.variable.assign(new)
