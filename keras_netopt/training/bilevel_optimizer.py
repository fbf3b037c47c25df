"""Two groups of variables of one model, trained in turn by two optimizers.

The training step computes the gradients of all variables for each batch. A
counter inside the step tells which group moves. `jax.jit`, `tf.function` and
XLA compile one step, because a conditional with assignments is unsafe on JAX:
every update is computed, then kept or undone by `ops.where`.
Private names of Keras 3.15: `_trainable_variables`,
`_model_variables_moving_average`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training import optimizers
from keras_netopt.training.backend import commit_variables, sync_variables
from keras_netopt.training.checkpoint_state import Arrays
from keras_netopt.training.optimizer_hook import OptimizerHook
from keras_netopt.training.replicas import count_replicas, sum_over_replicas

# Kinds of the batches of a cycle: of the training or the validation half.
TRAIN, VALIDATION = "train", "validation"
CYCLES = {
    1: (VALIDATION, TRAIN),
    2: (TRAIN, VALIDATION, TRAIN, TRAIN, TRAIN),
}
# Second order: the step after which the weights are those of training again.
_DISPLACED = (1, 2, 3)
_FINITE_DIFFERENCE = 0.01


class BilevelOptimizer:
    """Trains some variables by an optimizer of their own, in steps of theirs.

    It is a filter of the model's optimizer, which remains the one of the
    model: its learning rate, `iterations` and slots belong to the steps in
    which the weights move. The other variables, the architecture, move in the
    remaining steps. Of first order, a cycle has two steps: architecture,
    weights. Of second order it has five, whose third to fifth train on the
    batch of the first one:

    0. training batch: a virtual step of the weights;
    1. validation batch: the gradients at the virtual weights; the weights move
       by `eps` along them, from where they were;
    2. training batch: the gradient there; the weights move to the other side;
    3. training batch: the architecture moves by the gradient of step 1 less
       the finite difference of step 2 and 3; the weights are put back;
    4. training batch: the weights move.

    Args:
        model: A compiled, built model.
        architecture: The variables of the second group.
        architecture_optimizer: A Keras optimizer that is not built.
        order_of_gradient: 1 or 2.

    Reference:
        Liu et al., *DARTS: Differentiable Architecture Search*, 2019,
        https://arxiv.org/abs/1806.09055, equations 6 to 8.
    """

    order = 100  # Begins last, so that masks and masters are in the weights.

    def __init__(
        self,
        model: keras.Model,
        architecture: Sequence[Any],
        architecture_optimizer: Any,
        order_of_gradient: int = 1,
    ) -> None:
        self._model = model
        self._optimizer = architecture_optimizer
        self._is_second = order_of_gradient == 2
        self.cycle = len(CYCLES[order_of_gradient])
        with optimizers.variable_scope(model):
            optimizers.build_optimizer(model)
        self._owner: Any = optimizers.innermost_optimizer(model.optimizer)
        held = {id(variable) for variable in architecture}
        trained = model.trainable_variables
        self._architecture = [v for v in trained if id(v) in held]
        self._weights = [v for v in trained if id(v) not in held]
        self._own = list(self._owner.variables)
        self._add_variables()
        self._undo = OptimizerHook.add(model.optimizer, self)
        self._gradients: dict[int, Any] = {}
        self._before: list[tuple[Any, Any]] = []

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables that it has added to the optimizer."""
        return (self._counter, *self._state)

    @property
    def phase(self) -> int:
        """The next step of the cycle, in [0, `cycle`)."""
        sync_variables(self._model)
        return int(ops.convert_to_numpy(self._counter)) % self.cycle

    def begin_cycle(self) -> None:
        """Begins a new cycle; undoes a virtual step that was not completed.

        It is called at the beginning of an epoch, whose batches begin a cycle.
        """
        phase = self.phase
        if self._is_second and phase in _DISPLACED:
            for variable, kept in zip(self._weights, self._kept, strict=True):
                variable.assign(kept)
        if phase:
            self._counter.assign(0)
            commit_variables(self._model)

    def remove(self) -> None:
        """Ends the filter; the model's optimizer is as it was before."""
        self.begin_cycle()
        self._undo()
        for variable in self.variables:
            optimizers.remove_variable(self._owner, variable)

    def get_arrays(self) -> Arrays:
        """Returns the counter and the state of the second optimizer."""
        sync_variables(self._model)
        return {
            f"bilevel {i}": np.array(ops.convert_to_numpy(variable))
            for i, variable in enumerate(self.variables)
        }

    def set_arrays(self, arrays: Arrays) -> None:
        """Restores what `get_arrays` returned."""
        sync_variables(self._model)
        for i, variable in enumerate(self.variables):
            variable.assign(arrays[f"bilevel {i}"])

    def before_update(
        self, gradients: list[Any], variables: list[Any]
    ) -> list[Any]:
        """Copies all values; hides the gradients of the architecture."""
        held = {id(variable) for variable in self._architecture}
        # The second order compares gradients of different steps. Replicas
        # share this object: each must find what is the same for all.
        known = {
            id(variable): gradient
            for gradient, variable in zip(gradients, variables, strict=True)
            if gradient is not None
            and (self._is_second or id(variable) in held)
        }
        total = sum_over_replicas(
            [ops.convert_to_tensor(one) for one in known.values()]
        )
        self._gradients = dict(zip(known, total, strict=True))
        passed = [
            ops.zeros_like(variable.value) if id(variable) in held else gradient
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        self._before = _copy([*self._weights, *self._own, *self._architecture])
        return passed

    def after_update(self, variables: list[Any]) -> None:
        """Keeps the update of the group whose turn it is."""
        phase = ops.mod(self._counter.value, self.cycle)
        count = len(self._architecture)
        for variable, before in self._before[-count:]:
            variable.assign(before)  # The other optimizer decays weights.
        if self._is_second:
            self._step_second(phase)
        else:
            _keep_if(ops.equal(phase, 1), self._before[:-count])
            self._move_architecture(
                ops.equal(phase, 0), self._of(self._architecture)
            )
        self._counter.assign_add(1)
        self._gradients, self._before = {}, []

    def _step_second(self, phase: Any) -> None:
        at = [ops.equal(phase, step) for step in range(self.cycle)]
        count = len(self._weights)
        weights = self._before[:count]
        states = self._before[count : count + len(self._own)]
        for kept, (_, before) in zip(self._kept, weights, strict=True):
            kept.assign(ops.where(at[0], before, kept.value))
        gradients = self._of(self._weights)
        for along, gradient in zip(self._along, gradients, strict=True):
            along.assign(ops.where(at[1], gradient, along.value))
        norm = ops.sqrt(
            sum(ops.sum(ops.square(one.value)) for one in self._along)
        )
        eps = _FINITE_DIFFERENCE / ops.maximum(norm, 1e-12)
        moves = ops.logical_or(at[0], at[4])
        is_set = ops.logical_or(at[1], ops.logical_or(at[2], at[3]))
        sign = ops.cast(at[1], eps.dtype) - ops.cast(at[2], eps.dtype)
        for (variable, before), kept, along in zip(
            weights, self._kept, self._along, strict=True
        ):
            shift = ops.cast(sign * eps, along.dtype) * along.value
            value = ops.where(moves, variable.value, before)
            variable.assign(ops.where(is_set, kept.value + shift, value))
        _keep_if(at[4], states)  # Also the step of a learning rate schedule.
        rate = ops.cast(self._owner.learning_rate, eps.dtype)
        total = []
        for gradient, outer, plus in zip(
            self._of(self._architecture), self._outer, self._plus, strict=True
        ):
            outer.assign(ops.where(at[1], gradient, outer.value))
            plus.assign(ops.where(at[2], gradient, plus.value))
            difference = (plus.value - gradient) / (2.0 * eps)
            moved = outer.value - rate * difference
            total.append(moved)
        self._move_architecture(at[3], total)

    def _move_architecture(self, condition: Any, gradients: list[Any]) -> None:
        before = _copy([*self._architecture, *self._optimizer.variables])
        count = count_replicas()  # Keras adds up what each of them passes.
        own = gradients if count == 1 else [one / count for one in gradients]
        self._optimizer.apply(own, self._architecture)
        _keep_if(condition, before)
        if self._owner.use_ema:  # Keras would assign the averages to them.
            averages = self._owner._model_variables_moving_average
            trained = self._owner._trainable_variables
            for variable, average in zip(trained, averages, strict=True):
                if any(variable is one for one in self._architecture):
                    average.assign(variable.value)

    def _of(self, variables: list[Any]) -> list[Any]:
        """Returns the gradients of variables, zeros where there is none."""
        found = [self._gradients.get(id(variable)) for variable in variables]
        return [
            ops.zeros_like(variable.value) if gradient is None else gradient
            for gradient, variable in zip(found, variables, strict=True)
        ]

    def _add_variables(self) -> None:
        """Adds the counter, the slots and the variables of the second one."""
        with optimizers.variable_scope(self._model):
            self._counter = self._owner.add_variable(
                shape=(),
                dtype="int32",
                initializer="zeros",
                name="bilevel_step",
                aggregation="only_first_replica",
            )
            self._kept = self._add_slots(self._weights, "kept")
            self._along = self._add_slots(self._weights, "along")
            self._outer = self._add_slots(self._architecture, "outer")
            self._plus = self._add_slots(self._architecture, "plus")
            self._optimizer.build(self._architecture)
        others = list(self._optimizer.variables)
        self._state = [
            *self._kept,
            *self._along,
            *self._outer,
            *self._plus,
            *others,
        ]
        optimizers.set_variables(self._owner, [*self._owner.variables, *others])

    def _add_slots(self, variables: list[Any], name: str) -> list[Any]:
        if not self._is_second:
            return []
        return [
            self._owner.add_variable_from_reference(v, name=name)
            for v in variables
        ]


def _copy(variables: Sequence[Any]) -> list[tuple[Any, Any]]:
    # On torch the value of a variable changes with it.
    return [(variable, ops.copy(variable.value)) for variable in variables]


def _keep_if(condition: Any, before: list[tuple[Any, Any]]) -> None:
    """Puts back the values from before unless the condition holds."""
    for variable, value in before:
        variable.assign(ops.where(condition, variable.value, value))
