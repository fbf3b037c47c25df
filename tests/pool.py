"""Models that are traced once and trained by many tests.

TensorFlow and JAX take longer to trace a step than to run it a hundred times.
A pool builds a model and traces its step; `lend` gives it as if it was just
built: weights, optimizer variables, metrics and random state. A model whose
step, variables or optimizer were changed is not lent again.
"""

import contextlib
import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras.src.utils.rng_utils import get_random_seed

Build = Callable[[], keras.Model]
Trace = Callable[[keras.Model], object]


class Pool:
    """Lends models of one kind.

    Args:
        build: Makes a compiled, built model; sets the random seed first.
        trace: `trace(model)` trains a step. It may add variables to the
            optimizer before, such as masks; they keep the values they have.
    """

    def __init__(self, build: Build, trace: Trace) -> None:
        self.build, self.trace = build, trace
        self.free: list[Traced] = []

    @contextlib.contextmanager
    def lend(self) -> Iterator[keras.Model]:
        """Gives a model that nobody else has until the context ends."""
        held = self.free.pop() if self.free else Traced(self.build, self.trace)
        held.restore()
        yield held.model
        if held.is_intact():
            self.free.append(held)


class Traced:
    """A model, and how it was before its first step."""

    def __init__(self, build: Build, trace: Trace) -> None:
        self.model: Any = build()
        self.seed = get_random_seed()
        self.random = random.getstate(), np.random.get_state()
        self.model.optimizer.build(self.model.trainable_variables)
        first = {id(v): read(v) for v in self.variables()}
        trace(self.model)
        self.values = [first.get(id(v), read(v)) for v in self.variables()]
        self.names = set(vars(self.model))
        # Such as `_initial_epoch`, which `BackupAndRestore` leaves behind.
        self.plain = {
            name: value
            for name, value in vars(self.model).items()
            if isinstance(value, bool | int | None)
            and not name.endswith("_function")
        }
        self.states = [
            (s, copy_containers(vars(s))) for s in self.list_states()
        ]
        self.parts = self.list_parts()

    def variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def list_states(self) -> list[Any]:
        """Lists what this package has attached to the model."""
        state = vars(self.model).get("_netopt")
        return [] if state is None else [state, *state.states.values()]

    def list_parts(self) -> list[Any]:
        """Lists what has to be the same whenever the model is lent."""
        model, optimizer = self.model, self.model.optimizer
        return [
            model.train_function,
            optimizer,
            *vars(optimizer),
            *model.layers,
            *((id(v), tuple(v.shape)) for v in self.variables()),
            *map(id, model.trainable_variables),
        ]

    def is_intact(self) -> bool:
        """Whether the traced step is still that of the model."""
        overridden = "train_step" in vars(self.model)
        # Left by a `fit` call that raised on JAX.
        held = getattr(self.model, "_jax_state", None)
        return not overridden and not held and self.parts == self.list_parts()

    def restore(self) -> None:
        """Undoes all training; the random state is that after `build`."""
        for name in set(vars(self.model)) - self.names:
            object.__delattr__(self.model, name)
        vars(self.model).update(self.plain)
        for state, values in self.states:
            vars(state).update(copy_containers(values))
        for variable, value in zip(self.variables(), self.values, strict=True):
            variable.assign(value)
        self.model.reset_metrics()
        keras.utils.set_random_seed(self.seed)
        random.setstate(self.random[0])
        np.random.set_state(self.random[1])


def read(variable: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable))


def copy_containers(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: copy.copy(value) if isinstance(value, dict | list) else value
        for name, value in values.items()
    }
