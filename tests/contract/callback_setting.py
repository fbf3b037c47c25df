"""How one public callback is tried."""

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
    """What constructor arguments may be made from."""

    x: np.ndarray
    folder: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """How one piece is tried.

    Args:
        name: What the tests are called after.
        piece: The registry row, as in "callbacks.Pruning".
        arguments: The constructor's arguments for a case.
        effect: `(model before, model after, callback) -> bool`: whether the
            piece did what it is for.
        beside: Settings that stand before it in the list.
        neutral: Arguments with which the piece changes no weight.
        twin: `(model, data) -> None`: the pure function, for C24.
        first_event: Arguments with which the first event comes at step 0, or
            after two batches of 32, which `twin` sees as well.
        reference: Whether C12 compares its result across backends.
        logs: What it adds to the logs.
        models: The models of the zoo that it can work on.
        needs_callback: Whether `effect` looks at the callback; a tuner's
            trials keep none.
        epochs: How long a fit must be for every argument to matter.
        by_replica: Whether each replica of TensorFlow decides for its own
            part of a batch, so that two do not train as one.
    """

    name: str
    piece: str
    arguments: Callable[[Case], Arguments]
    effect: Callable[[keras.Model, keras.Model, Any], bool]
    beside: "tuple[Setting, ...]" = ()
    neutral: Callable[[Case], Arguments] | None = None
    twin: Callable[[keras.Model, Case], Any] | None = None
    first_event: Arguments = field(default_factory=dict)
    reference: bool = True
    logs: tuple[str, ...] = ("sparsity",)
    models: tuple[str, ...] = tuple(zoo.BUILDERS)
    needs_callback: bool = False
    epochs: int = 2
    by_replica: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def row(self) -> registry.Method:
        found = registry.get(self.piece)
        assert found is not None
        return found

    @property
    def kind(self) -> type[Any]:
        """The public class."""
        found: type[Any] = getattr(netopt.callbacks, self.row.short_name)
        return found

    def build(self, case: Case, arguments: Arguments | None = None) -> Any:
        return self.kind(
            **(self.arguments(case) if arguments is None else arguments)
        )

    def callbacks(self, case: Case, piece: Any = None) -> list[Any]:
        """The callbacks for `fit`, the piece itself last."""
        before = [other.build(case) for other in self.beside]
        return [*before, piece or self.build(case)]


def case(model: str, folder: Path) -> Case:
    return Case(zoo.data(model)[0], Path(folder))


def idle_model() -> keras.Model:
    """A model with nothing to prune, to cut or to order."""
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.BatchNormalization(momentum=0.9)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    return model
