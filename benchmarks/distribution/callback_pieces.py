"""Every callback, with the settings that gather something in a step."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_netopt as netopt
from benchmarks.distribution.piece import CLASSES, Piece, compiled, perceptron
from keras_netopt import callbacks as ours


def _pruning(**changed: Any) -> Callable[..., list[Any]]:
    given = {"sparsity": 0.5, "frequency": 3, **changed}
    return lambda model, x, y, folder: [ours.Pruning(**given)]


def _measured(score: str, labelled: bool) -> Callable[..., list[Any]]:
    return lambda model, x, y, folder: [
        ours.Pruning(
            0.5,
            score=score,
            frequency=3,
            calibration_data=(x, y) if labelled else x,
        )
    ]


def _at_start(score: str) -> Callable[..., list[Any]]:
    return lambda model, x, y, folder: [
        ours.Pruning(
            netopt.schedules.Constant(0.5),
            score=score,
            calibration_data=(x, y) if score != "synflow" else None,
        )
    ]


def _sparse(**changed: Any) -> Callable[..., list[Any]]:
    return lambda model, x, y, folder: [
        ours.SparseTraining(0.5, frequency=4, allocation="uniform", **changed)
    ]


def _one(make: Callable[[], Any]) -> Callable[..., list[Any]]:
    return lambda model, x, y, folder: [make()]


def _curriculum(**changed: Any) -> Callable[..., list[Any]]:
    ramp = netopt.schedules.Linear(initial=0.5, final=1.0, begin=0.4, end=1.0)
    return lambda model, x, y, folder: [
        ours.Curriculum(x, y, **{"pacing": ramp, **changed})
    ]


def _selective(method: str) -> Callable[..., list[Any]]:
    return _one(
        lambda: ours.SelectiveBackprop(0.5, method=method, begin=0.0, end=1.0)
    )


def _rho(model: Any, x: Any, y: Any, folder: Any) -> list[Any]:
    losses = np.linspace(0.0, 1.0, len(x))

    class Source(ours.Curriculum):
        def dataset(self, size: int) -> Any:
            return super().dataset(size, irreducible_loss=losses)

    source = Source(x, y, ordering="shuffle")
    return [source, ours.SelectiveBackprop(0.5, method="rho", begin=2)]


def _best(model: Any, x: Any, y: Any, folder: Any) -> list[Any]:
    path = str(folder / "best.keras")
    best = ours.BestCheckpoint(path, monitor="loss", mode="max")
    return [ours.Pruning(0.5), best]


def _read_best(model: Any, x: Any, y: Any, listed: Any) -> dict[str, Any]:
    saved = keras.saving.load_model(listed[-1].filepath)
    return {f"best {i}": one for i, one in enumerate(saved.get_weights())}


def _teacher() -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(CLASSES, name="teacher")]
    )


def _regularized() -> keras.Model:
    keras.utils.set_random_seed(7)
    hidden = keras.layers.Dense(
        16, "tanh", kernel_regularizer=keras.regularizers.L2(0.05)
    )
    hidden.name = "hidden"
    out = keras.layers.Dense(CLASSES, name="out")
    return compiled(keras.Sequential([keras.Input((8,)), hidden, out]))


def _consolidated(model: Any, x: Any, y: Any, folder: Any) -> list[Any]:
    """Anchors a task that shares the hidden layer."""
    hidden = model.get_layer("hidden")
    head = keras.layers.Dense(2, name="head", kernel_initializer="ones")
    inputs = keras.Input((8,))
    first = compiled(keras.Model(inputs, head(hidden(inputs))))
    component = ours.ElasticWeightConsolidation(50.0, fisher_samples=8)
    component.consolidate(first, x)
    return [component]


def _super_loss() -> keras.Model:
    base = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return perceptron(loss=netopt.curriculum.SuperLoss(base, tau="batch"))


def _half(**changed: Any) -> dict[str, Any]:
    return {"sparsity": 0.5, "min_channels": 2, "round_to": 1, **changed}


def _growing(**changed: Any) -> Callable[..., list[Any]]:
    def make(model: Any, x: Any, y: Any, folder: Any) -> list[Any]:
        needs = changed.get("new_units") == "net2net"
        wider = netopt.surgery.Widen("hidden", to=24)
        data = {"calibration_data": x} if needs else {}
        trigger = {"1ep": [0]}
        return [
            ours.Growing([wider], trigger=trigger, verbose=0, **data, **changed)
        ]

    return make


PIECES = (
    Piece(name="plain fit"),
    Piece(name="Pruning", callbacks=_pruning()),
    Piece(name="Pruning 2:4", callbacks=_pruning(pattern="2:4")),
    Piece(name="Pruning taylor", callbacks=_pruning(score="taylor")),
    Piece(name="Pruning movement", callbacks=_pruning(score="movement")),
    Piece(name="Pruning wanda", callbacks=_measured("wanda", False)),
    Piece(name="Pruning snip", callbacks=_at_start("snip")),
    Piece(name="Pruning grasp", callbacks=_at_start("grasp")),
    Piece(name="Pruning synflow", callbacks=_at_start("synflow")),
    Piece(
        name="Pruning cyclic",
        callbacks=_pruning(
            sparsity=netopt.schedules.Cyclic(
                final=0.5, begin=2, end=10, on=2, off=2
            )
        ),
    ),
    Piece(name="SparseTraining gradient", callbacks=_sparse()),
    Piece(name="SparseTraining momentum", callbacks=_sparse(regrow="momentum")),
    Piece(name="SparseTraining random", callbacks=_sparse(regrow="random")),
    Piece(
        name="SparseTraining straight-through, decay",
        callbacks=_sparse(regrow="straight_through", decay=0.02),
    ),
    Piece(
        name="LotteryTicket",
        callbacks=_one(lambda: ours.LotteryTicket(rounds=1, rate=0.5)),
        epochs=4,
    ),
    Piece(name="Quantization", callbacks=_one(lambda: ours.Quantization(4))),
    Piece(
        name="Quantization with activations",
        callbacks=_one(lambda: ours.Quantization(8, activations=True)),
    ),
    Piece(
        name="Quantization clusters",
        callbacks=_one(lambda: ours.Quantization(clusters=6)),
    ),
    Piece(name="BestCheckpoint", callbacks=_best, after=_read_best),
    Piece(
        name="ChannelPruning",
        callbacks=_one(lambda: ours.ChannelPruning(**_half())),
        epochs=5,
    ),
    Piece(
        name="ChannelSparsity",
        callbacks=_one(
            lambda: ours.ChannelSparsity(
                0.05, regularizer="group_lasso", sparsity=0.5, min_channels=2
            )
        ),
        epochs=4,
    ),
    Piece(name="Growing", callbacks=_growing()),
    Piece(name="Growing copies", callbacks=_growing(new_units="net2net")),
    Piece(
        name="SelectiveBackprop percentile",
        callbacks=_selective("percentile"),
    ),
    Piece(name="SelectiveBackprop top", callbacks=_selective("top")),
    Piece(name="SelectiveBackprop rho", callbacks=_rho),
    Piece(
        name="Curriculum", callbacks=_curriculum(difficulty=np.arange(64) % 37)
    ),
    Piece(
        name="Curriculum by loss",
        callbacks=_curriculum(difficulty="loss", scoring_begin="1ep"),
        epochs=4,
    ),
    Piece(
        name="Curriculum self-paced",
        callbacks=_curriculum(
            difficulty="loss",
            ordering=netopt.curriculum.SelfPaced("linear"),
        ),
        epochs=4,
    ),
    Piece(name="SuperLoss", model=_super_loss),
    Piece(
        name="Distillation",
        callbacks=_one(lambda: ours.Distillation(_teacher())),
        model=_regularized,
    ),
    Piece(
        name="ParameterScheduler",
        callbacks=_one(
            lambda: ours.ParameterScheduler(
                "bias", {0: 0.0, "1ep": 0.25}, include=keras.layers.Dense
            )
        ),
    ),
    Piece(name="ComputeTracker", callbacks=_one(lambda: ours.ComputeTracker())),
    Piece(
        name="LearningRateFinder",
        callbacks=_one(
            lambda: ours.LearningRateFinder(
                min_learning_rate=0.01, max_learning_rate=0.05, smoothing=0.0
            )
        ),
        epochs=6,
        after=lambda model, x, y, listed: {"rate": listed[-1].steepest or 0.0},
    ),
    Piece(
        name="PrecheltStopping",
        callbacks=_one(
            lambda: ours.PrecheltStopping("UP", threshold=3, strip=2)
        ),
        epochs=6,
        validates=True,
    ),
    Piece(
        name="GradualUnfreezing",
        callbacks=_one(lambda: ours.GradualUnfreezing(groups=2, every=0.25)),
    ),
    Piece(
        name="LayerwiseLearningRates",
        callbacks=_one(
            lambda: ours.LayerwiseLearningRates(rates={"first": 0.2})
        ),
    ),
    Piece(name="ElasticWeightConsolidation", callbacks=_consolidated),
)
