"""The arms: plain `fit`, and `fit` with one of the callbacks each."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_netopt as netopt
from benchmarks.pruning import models
from keras_netopt import callbacks

STEPS = 48
FIRST, LAST, EVERY = 4, 44, 8  # Batches that the clock reads at.
LATE = 45  # Events that cannot be left out happen here.


@dataclass
class Arm:
    """One way to train a network.

    Args:
        make: Returns the callbacks for a network and its data. Defaults to
            none.
        base: The arm that it is compared with.
        build: Returns a compiled network of a kind. Defaults to the one of
            the base.
        planned: Whether `make` returns the data set, too.
        leaves: Whether the callbacks leave after the first `fit`.
        epochs: Of each `fit`; the steps of the last one are timed.
    """

    make: Callable[..., Any] | None = None
    base: str = "plain"
    build: Callable[[str], Any] | None = None
    planned: bool = False
    leaves: bool = False
    epochs: int = 1


class Empty(keras.callbacks.Callback):
    """Keeps Keras from running ahead of its callbacks."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called by Keras."""


def build(kind: str) -> Any:
    """Returns the plain network."""
    keras.utils.set_random_seed(0)
    return models.build(kind, keras)


def build_deep(kind: str) -> Any:
    """Returns a network with blocks whose rates can be scheduled."""
    return _insert(
        kind,
        lambda n: netopt.layers.StochasticDepth(
            keras.layers.Dense(n, activation="relu"), rate=0.1
        ),
    )


def build_open(kind: str) -> Any:
    """Returns a network with a choice between two layers."""
    return _insert(
        kind,
        lambda n: netopt.layers.Choice(
            [
                keras.layers.Dense(n, activation="relu", name="dense"),
                keras.layers.Identity(name="skip"),
            ],
            name="choice",
        ),
    )


def build_normalized(kind: str) -> Any:
    """Returns a network with batch normalization."""
    return _insert(kind, lambda n: keras.layers.BatchNormalization())


def _insert(kind: str, make: Callable[[int], Any]) -> Any:
    plain = build(kind)
    units = plain.layers[-1].input.shape[-1]
    layers = [*plain.layers[:-1], make(units), plain.layers[-1]]
    model = keras.Sequential([keras.Input(plain.input_shape[1:]), *layers])
    models.compile_model(model, keras)
    return model


def _curriculum(ordering: str) -> Arm:
    def make(model: Any, x: Any, y: Any) -> Any:
        scores = np.random.default_rng(0).random(len(x))
        used = callbacks.Curriculum(
            x, y, difficulty=scores, ordering=ordering, pacing="linear"
        )
        return [used], used.dataset(models.BATCH)

    return Arm(make, planned=True)


def _distillation(model: Any, x: Any, y: Any) -> list[Any]:
    teacher = keras.models.clone_model(model)
    return [
        callbacks.Distillation(
            teacher, from_logits=True, teacher_from_logits=True
        )
    ]


def _consolidated(model: Any, x: Any, y: Any) -> list[Any]:
    used = callbacks.ElasticWeightConsolidation(
        fisher_samples=8, shared_head=True
    )
    used.consolidate(model, x[:64])
    return [used]


def _best(model: Any, x: Any, y: Any) -> list[Any]:
    folder = Path(tempfile.mkdtemp())
    return [callbacks.BestCheckpoint(folder / "best.keras", monitor="loss")]


def _search(model: Any, x: Any, y: Any) -> list[Any]:
    return [
        callbacks.ArchitectureSearch(
            evaluations=2, validation_data=(x[:128], y[:128]), verbose=0
        )
    ]


def _growing(model: Any, x: Any, y: Any) -> list[Any]:
    """Returns a callback that may not add a parameter."""
    action = netopt.surgery.Widen(model.layers[-2].name, add=1)
    return [callbacks.Growing(action, {0: [0]}, max_params=1, verbose=0)]


def _sparse(regrow: str | None) -> Any:
    """Returns a callback whose masks move in the first steps only."""
    return callbacks.SparseTraining(
        0.9,
        regrow=regrow,
        drop_fraction=netopt.schedules.Linear(
            initial=0.3, final=0.0, begin=0, end=FIRST // 2
        ),
    )


def _some(make: Callable[[], Any]) -> Callable[..., list[Any]]:
    return lambda model, x, y: [make()]


ARMS: dict[str, Arm] = {
    "plain": Arm(build=build),
    "plain again": Arm(build=build),
    "empty callback": Arm(_some(Empty)),
    "masks alone": Arm(_some(lambda: callbacks.Pruning(0.9)), leaves=True),
    "Pruning": Arm(_some(lambda: callbacks.Pruning(0.9))),
    "SparseTraining static": Arm(_some(lambda: _sparse(None))),
    "SparseTraining random": Arm(_some(lambda: _sparse("random"))),
    "SparseTraining gradient": Arm(_some(lambda: _sparse("gradient"))),
    "LotteryTicket": Arm(
        _some(lambda: callbacks.LotteryTicket(rounds=1, rate=0.9)), epochs=2
    ),
    "ChannelPruning": Arm(_some(lambda: callbacks.ChannelPruning(0.0))),
    "ChannelSparsity idle": Arm(
        _some(lambda: callbacks.ChannelSparsity(0.0, sparsity=0.0)),
        base="plain normalized",
    ),
    "ChannelSparsity": Arm(
        _some(lambda: callbacks.ChannelSparsity(sparsity=0.0, end=1.0)),
        base="plain normalized",
    ),
    "plain normalized": Arm(build=build_normalized, base="plain normalized"),
    "Growing": Arm(_growing),
    "Quantization": Arm(_some(lambda: callbacks.Quantization(8))),
    "Distillation": Arm(_distillation),
    "ElasticWeightConsolidation": Arm(_consolidated),
    "SelectiveBackprop idle": Arm(
        _some(lambda: callbacks.SelectiveBackprop(begin=LATE, end=LATE + 2))
    ),
    "SelectiveBackprop": Arm(
        _some(lambda: callbacks.SelectiveBackprop(begin=0.0, end=1.0))
    ),
    "Curriculum shuffle": _curriculum("shuffle"),
    "Curriculum easy_first": _curriculum("easy_first"),
    "plain deep": Arm(build=build_deep, base="plain deep"),
    "ParameterScheduler epoch": Arm(
        _some(lambda: callbacks.ParameterScheduler("rate", 0.1, per="epoch")),
        base="plain deep",
    ),
    "ParameterScheduler step": Arm(
        _some(
            lambda: callbacks.ParameterScheduler(
                "rate",
                netopt.schedules.Linear(final=0.2, begin=0.0, end=1.0),
            )
        ),
        base="plain deep",
    ),
    "ComputeTracker": Arm(_some(lambda: callbacks.ComputeTracker())),
    "LayerwiseLearningRates": Arm(
        _some(lambda: callbacks.LayerwiseLearningRates({"first": 0.1}))
    ),
    "LearningRateFinder": Arm(
        _some(
            lambda: callbacks.LearningRateFinder(
                1e-7, 1e-6, steps=LATE, stop_factor=1e9
            )
        )
    ),
    "GradualUnfreezing": Arm(
        _some(
            lambda: callbacks.GradualUnfreezing(2, scheme="freeze", every=LATE)
        )
    ),
    "PrecheltStopping": Arm(
        _some(
            lambda: callbacks.PrecheltStopping(
                monitor="loss", train_monitor="loss"
            )
        )
    ),
    "BestCheckpoint": Arm(_best),
    "plain open": Arm(build=build_open, base="plain open"),
    "ArchitectureSearch": Arm(_search, base="plain open"),
}


def chosen(names: list[str] | None) -> Iterator[str]:
    """Yields the names of arms and of those they are compared with."""
    wanted = set(names or ARMS)
    wanted |= {ARMS[name].base for name in wanted} | {"plain", "plain again"}
    return (name for name in ARMS if name in wanted)
