"""Multiplies the updates of chosen weights, inside the compiled step.

Private names of Keras 3.15: `_apply_weight_decay`, `_backend_apply_gradients`,
`_backend_update_step`, `_var_key`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from keras_netopt.training import optimizers
from keras_netopt.training.checkpoint_state import Arrays, CheckpointState
from keras_netopt.training.override_method import override_method
from keras_netopt.training.trainable_flags import SCALE, FunctionsByFlags

_CALLED = "_netopt_scaled"


class UpdateScale:
    """Multiplies the updates that the optimizers of a model make.

    The update of a weight is its change by one call of the optimizer, weight
    decay included: what a learning rate of its own would multiply. Gradients,
    slots and clipping do not change. Averages (`use_ema`) and constraints
    follow the multiplied update. A factor of 1 leaves the step as it is.

    It is an entry of the model's checkpoint state without content, so that
    `recompile_keeping_state` finds it.
    """

    entry = SCALE

    def __init__(
        self, model: keras.Model, factors: Mapping[int, float]
    ) -> None:
        self._factors = {k: f for k, f in factors.items() if f != 1.0}
        self._undos: list[Callable[[], None]] = []
        self._model = model
        held = optimizers.find_optimizers(model)
        self.optimizer = held.get("optimizer")
        for outer in held.values():
            for owner in optimizers.all_optimizers(outer):
                self._override(owner)

    @classmethod
    def of(cls, model: keras.Model) -> "UpdateScale | None":
        """Returns the scale of a model or `None`."""
        state = CheckpointState.find(model)
        found = None if state is None else state.states.get(cls.entry)
        return found if isinstance(found, cls) else None

    @classmethod
    def attach(
        cls, model: keras.Model, factors: Mapping[int, float]
    ) -> "UpdateScale":
        """Multiplies updates from the next step on.

        Args:
            model: The compiled model.
            factors: The factor of each weight, by `id(variable)`. Weights
                without a factor are updated as before.
        """
        functions = FunctionsByFlags.of(model)
        functions.leave()
        old = cls.of(model)
        if old is not None:
            old._undo()
        scale = cls(model, factors)
        CheckpointState.of(model).states[cls.entry] = scale
        functions.enter(inference=False)
        return scale

    @classmethod
    def follow_compile(cls, model: keras.Model) -> None:
        """Moves the scale to the optimizer of a later `compile`."""
        found = cls.of(model)
        if found is not None and found.optimizer is not model.optimizer:
            found._undo()
            factors = found._factors
            CheckpointState.of(model).states[cls.entry] = cls(model, factors)

    @property
    def was_called(self) -> bool:
        """Whether a training step of the model has called the optimizer."""
        return bool(vars(self._model).get(_CALLED, False))

    @property
    def signature(self) -> tuple[float, ...]:
        """The factors in the order of the model's weights."""
        return tuple(
            self._factors.get(id(v), 1.0) for v in self._model.variables
        )

    def detach(self) -> None:
        """Updates are made as before, from the next step on."""
        functions = FunctionsByFlags.of(self._model)
        functions.leave()
        self._undo()
        CheckpointState.of(self._model).states.pop(self.entry, None)
        functions.enter(inference=False)

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Saves nothing: the callback sets the factors again."""
        return {}, {}

    def _undo(self) -> None:
        for undo in self._undos:
            undo()

    def _override(self, owner: Any) -> None:
        decay, step = owner._apply_weight_decay, owner._backend_update_step
        before: dict[int, Any] = {}

        def apply_decay(variables: Any) -> None:
            before.clear()
            before.update(self._copy(owner, variables))
            decay(variables)

        def update(grads: Any, variables: Any, learning_rate: Any) -> None:
            held = dict(before) or self._copy(owner, variables)
            before.clear()
            step(grads, variables, learning_rate)
            for i, variable in enumerate(variables):
                if i in held:
                    self._scale(owner, variable, held[i])

        apply = owner._backend_apply_gradients

        def apply_gradients(*arguments: Any) -> None:
            object.__setattr__(self._model, _CALLED, True)
            apply(*arguments)

        for name, function in (
            ("_backend_apply_gradients", apply_gradients),
            ("_apply_weight_decay", apply_decay),
            ("_backend_update_step", update),
        ):
            self._undos.append(override_method(owner, name, function))

    def _copy(self, owner: Any, variables: Any) -> dict[int, Any]:
        """Copies the weights with a factor, by their place in the list."""
        return {
            i: ops.stop_gradient(ops.copy(variable))
            for i, variable in enumerate(variables)
            if self._find(owner, variable) != 1.0
        }

    def _find(self, owner: Any, variable: Any) -> float:
        if isinstance(variable, keras.Variable):
            return self._factors.get(id(variable), 1.0)
        keys = {owner._var_key(v): id(v) for v in self._model.variables}
        return self._factors.get(keys.get(owner._var_key(variable), 0), 1.0)

    def _scale(self, owner: Any, variable: Any, old: Any) -> None:
        factor = self._find(owner, variable)
        if factor == 0.0:
            variable.assign(old)
            return
        new = ops.stop_gradient(ops.convert_to_tensor(variable))
        variable.assign(old + ops.cast(factor, new.dtype) * (new - old))
