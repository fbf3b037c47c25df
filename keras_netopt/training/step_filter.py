"""Replaces the batch of selected training steps by a part of it.

Keras' trainers read `train_function` before every step, so one of two
compiled functions can be used. The second one is compiled while the instance
overrides `train_step` of its class.
Private names of Keras 3.15: `_iterations`, `_call_has_training_arg`.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import keras

from keras_netopt.training.backend import without_gradients
from keras_netopt.training.counter_random import uniform
from keras_netopt.training.optimizers import all_optimizers
from keras_netopt.training.override_method import override_method

Forward = Callable[[Any], Any]
UniformNumbers = Callable[[Any], Any]
_ATTRIBUTE = "_netopt_step_filter"


class SampleSelector(Protocol):
    """Selects samples of a batch; equal objects are compiled once per model.

    `select` and `strip` run inside the compiled step and return data in the
    structure of the batch. `forward` returns the outputs for inputs, in
    inference mode. `uniform` returns that many uniform random numbers, which
    differ from step to step.
    """

    @property
    def strips(self) -> bool:
        """Whether ordinary steps call `strip`."""
        ...

    def select(
        self,
        model: Any,
        data: Any,
        forward: Forward,
        uniform: UniformNumbers,
    ) -> Any:
        """Returns the data of a filtered step."""
        ...

    def strip(self, data: Any) -> Any:
        """Returns the data of an ordinary step."""
        ...


class StepFilter:
    """Replaces the step function of a compiled model inside `fit`.

    If `armed` is set, the next call is a filtered step and resets it; every
    other call is an ordinary step.
    """

    def __init__(
        self, model: keras.Model, selector: SampleSelector, seed: int
    ) -> None:
        self._model: Any = model
        self.selector = selector
        self._seed = seed
        self._before: Any = None
        self._ordinary: Any = None
        self._filtered: Any = None
        self._step = self._train_step(selector.select)
        self._other = (
            self._train_step(self._strip_data) if selector.strips else None
        )
        self.armed = False

    @classmethod
    def of(
        cls, model: keras.Model, selector: SampleSelector, seed: int
    ) -> "StepFilter":
        """Returns the filter of a model, a new one for another selector."""
        held = vars(model).get(_ATTRIBUTE)
        if held is None or (held.selector, held._seed) != (selector, seed):
            held = cls(model, selector, seed)
            object.__setattr__(model, _ATTRIBUTE, held)
        return held

    def install(self) -> None:
        """Installs the filter; compiles again if the model's step is new."""
        function = self._model.train_function
        if function is self:
            return
        # Left by a `fit` call that raised.
        if isinstance(function, StepFilter):
            function = function._before
        if function is not self._before or self._filtered is None:
            self._before = self._ordinary = function
            if self._other is not None:
                self._ordinary = self._compile_step(self._other)
            self._filtered = self._compile_step(self._step)
        self._model.train_function = self

    def remove(self) -> None:
        """Restores the model's own function."""
        if self._model.train_function is self:
            self._model.train_function = self._before

    def __call__(self, *arguments: Any) -> Any:
        is_armed, self.armed = self.armed, False
        function = self._filtered if is_armed else self._ordinary
        # torch reads `train_step` at every step.
        with self._overridden_step(self._step if is_armed else self._other):
            return function(*arguments)

    def _strip_data(self, model: Any, data: Any, *unused: Any) -> Any:
        return self.selector.strip(data)

    def _compile_step(self, step: Callable[..., Any]) -> Any:
        with self._overridden_step(step):
            self._model.make_train_function(force=True)
        return self._model.train_function

    @contextlib.contextmanager
    def _overridden_step(
        self, step: Callable[..., Any] | None
    ) -> Iterator[None]:
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

            step = slots[_find_counter(model.optimizer)]
            numbers = functools.partial(uniform, seed, step)
            return base(model, state, change(model, data, forward, numbers))

        def in_place(data: Any) -> Any:
            counter = model.optimizer.variables[_find_counter(model.optimizer)]
            numbers = functools.partial(uniform, seed, counter.value)
            with without_gradients():
                data = change(
                    model, data, lambda x: model(x, **options), numbers
                )
            return base(model, data)

        return on_jax if keras.backend.backend() == "jax" else in_place


def _find_counter(optimizer: Any) -> int:
    """Returns the index of the step counter in the optimizer's variables."""
    counter = list(all_optimizers(optimizer))[-1]._iterations
    return next(i for i, v in enumerate(optimizer.variables) if v is counter)
