"""Lets chosen training steps see a choice of their batch only.

Keras' trainers read `train_function` before every step, so one of two
compiled functions can be taken each time. The second one is made while a
`train_step` on the instance stands before that of the class.
Private names of Keras 3.15: `_iterations`, `_call_has_training_arg`.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import keras

from keras_netopt.training.counter_random import uniform
from keras_netopt.training.optimizers import all_optimizers
from keras_netopt.training.override_method import override_method

Forward = Callable[[Any], Any]
DrawNumbers = Callable[[Any], Any]
_ATTRIBUTE = "_netopt_step_filter"


class Choice(Protocol):
    """What chooses: compared by value, so a model compiles it once.

    `choose` and `strip` run inside the compiled step and return data of the
    form that they were given. `forward` answers inputs as in inference,
    `draw` returns so many uniform random numbers, others every step.
    """

    @property
    def strips(self) -> bool:
        """Whether ordinary steps go through `strip`."""
        ...

    def choose(
        self, model: Any, data: Any, forward: Forward, draw: DrawNumbers
    ) -> Any:
        """Returns the data of a step that chooses."""
        ...

    def strip(self, data: Any) -> Any:
        """Returns the data of an ordinary step."""
        ...


class StepFilter:
    """Stands in the place of a model's step function.

    While `armed` is set, the next call is a step that chooses; every other
    call is an ordinary step.

    Args:
        model: A compiled model inside `fit`.
        choice: What chooses.
        seed: An int from which the random numbers begin.
    """

    def __init__(self, model: keras.Model, choice: Choice, seed: int) -> None:
        self._model: Any = model
        self._choice = choice
        self._seed = seed
        self._before: Any = None
        self._ordinary: Any = None
        self._changed: Any = None
        self._step = self._train_step(choice.choose)
        self._other = (
            self._train_step(self._stripped) if choice.strips else None
        )
        self.armed = False

    @classmethod
    def of(cls, model: keras.Model, choice: Choice, seed: int) -> "StepFilter":
        """Returns the model's filter, or a new one for another choice."""
        held = vars(model).get(_ATTRIBUTE)
        if held is None or (held._choice, held._seed) != (choice, seed):
            held = cls(model, choice, seed)
            object.__setattr__(model, _ATTRIBUTE, held)
        return held

    @property
    def choice(self) -> Choice:
        """What chooses."""
        return self._choice

    def install(self) -> None:
        """Takes its place; compiles anew where the model's own step is new."""
        function = self._model.train_function
        if function is self:
            return
        if isinstance(function, StepFilter):  # A fit that raised left it.
            function = function._before
        if function is not self._before or self._changed is None:
            self._before = self._ordinary = function
            if self._other is not None:
                self._ordinary = self._made(self._other)
            self._changed = self._made(self._step)
        self._model.train_function = self

    def remove(self) -> None:
        """Puts the model's own function back."""
        if self._model.train_function is self:
            self._model.train_function = self._before

    def __call__(self, *arguments: Any) -> Any:
        is_armed, self.armed = self.armed, False
        function = self._changed if is_armed else self._ordinary
        # torch looks `train_step` up in every step.
        with self._shadowed(self._step if is_armed else self._other):
            return function(*arguments)

    def _stripped(self, model: Any, data: Any, *unused: Any) -> Any:
        return self._choice.strip(data)

    def _made(self, step: Callable[..., Any]) -> Any:
        with self._shadowed(step):
            self._model.make_train_function(force=True)
        return self._model.train_function

    @contextlib.contextmanager
    def _shadowed(self, step: Callable[..., Any] | None) -> Iterator[None]:
        undo = step and override_method(self._model, "train_step", step)
        try:
            yield
        finally:
            if undo:
                undo()

    def _train_step(self, change: Callable[..., Any]) -> Callable[..., Any]:
        model, base = self._model, type(self._model).train_step
        seed = self._seed
        options = {"training": False} if model._call_has_training_arg else {}

        def on_jax(state: Any, data: Any) -> Any:
            weights, others, slots, _ = state

            def forward(x: Any) -> Any:
                return model.stateless_call(weights, others, x, **options)[0]

            step = slots[_place(model.optimizer)]
            draw = functools.partial(uniform, seed, step)
            return base(model, state, change(model, data, forward, draw))

        def in_place(data: Any) -> Any:
            counter = model.optimizer.variables[_place(model.optimizer)]
            draw = functools.partial(uniform, seed, counter.value)
            with _without_gradients():
                data = change(model, data, lambda x: model(x, **options), draw)
            return base(model, data)

        return on_jax if keras.backend.backend() == "jax" else in_place


def _place(optimizer: Any) -> int:
    """Where the counter of steps is among the optimizer's variables."""
    counter = list(all_optimizers(optimizer))[-1]._iterations
    return next(i for i, v in enumerate(optimizer.variables) if v is counter)


def _without_gradients() -> Any:
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
