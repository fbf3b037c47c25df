"""Settings with which the contract tests one public callback."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo

import keras_netopt as netopt
from keras_netopt import registry

# "subclassed" has no graph, and the layer of "shared" reads its own output.
GRAPHS = ("mlp", "cnn", "nested", "gru", "transformer")
Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """Inputs and a folder for constructor arguments."""

    x: np.ndarray
    folder: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """One setting of a callback.

    Args:
        name: Name of the setting in test ids.
        component: The registry row, as in "callbacks.Pruning".
        arguments: The constructor's arguments for a case.
        effect: `(model before, model after, callback) -> bool`: whether the
            callback had its effect.
        beside: Settings of callbacks that are listed before it.
        neutral: Arguments with which the callback changes no weight.
        twin: `(model, case) -> None`: calls the function twin, for C24.
        first_event: Arguments with which the first event is at step 0, or
            after two batches of 32, which `twin` also receives.
        reference: Whether C12 compares its result across backends.
        models: The models of the zoo that it supports.
        needs_callback: Whether `effect` reads the callback; trials of a tuner
            have none.
        epochs: Epochs after which every argument has an effect.
        parts: What the number of epochs of `fit` is a multiple of.
    """

    name: str
    component: str
    arguments: Callable[[Case], Arguments]
    effect: Callable[[keras.Model, keras.Model, Any], bool]
    beside: "tuple[Setting, ...]" = ()
    neutral: Callable[[Case], Arguments] | None = None
    twin: Callable[[keras.Model, Case], Any] | None = None
    first_event: Arguments = field(default_factory=dict)
    reference: bool = True
    models: tuple[str, ...] = tuple(zoo.BUILDERS)
    needs_callback: bool = False
    epochs: int = 2
    parts: int = 1

    def __str__(self) -> str:
        return self.name

    @property
    def row(self) -> registry.Method:
        found = registry.get(self.component)
        assert found is not None
        return found

    @property
    def kind(self) -> type[Any]:
        """The public class."""
        found: type[Any] = getattr(netopt.callbacks, self.row.short_name)
        return found

    def whole(self, epochs: int) -> int:
        """The number of epochs, rounded up to what the callback takes."""
        return -(-epochs // self.parts) * self.parts

    def build(self, case: Case, arguments: Arguments | None = None) -> Any:
        return self.kind(
            **(self.arguments(case) if arguments is None else arguments)
        )

    def callbacks(self, case: Case, component: Any = None) -> list[Any]:
        """The callbacks for `fit`, this one last."""
        before = [other.build(case) for other in self.beside]
        return [*before, component or self.build(case)]


def case(model: str, folder: Path) -> Case:
    return Case(zoo.data(model)[0], Path(folder))


def idle_model() -> keras.Model:
    """A model without kernels: no weights to prune, no channels to remove."""
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.BatchNormalization(momentum=0.9)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    return model
