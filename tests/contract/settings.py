"""One row a setting of a public piece; every check of the contract reads it.

A new piece is a new row here and in `keras_netopt.registry`. What a piece
cannot do is a line of its registry row's `limits`, never an exception here.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import functions, zoo

import keras_netopt as netopt
from keras_netopt import registry, surgery
from keras_netopt.callbacks import (
    BestCheckpoint,
    ChannelPruning,
    CostLedger,
    Curriculum,
    Dial,
    Growing,
    LearningRateFinder,
    PrecheltStopping,
    Pruning,
    SelectiveBackprop,
)
from keras_netopt.curriculum import SelfPaced, SequenceLengthWarmup
from keras_netopt.schedules import Constant, Linear
from keras_netopt.sparsity import NM, Block
from keras_netopt.training import walk_layers

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
        beside: Names of settings that stand before it in the list.
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
    beside: tuple[str, ...] = ()
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

    def build(self, case: Case, arguments: Arguments | None = None) -> Any:
        kind = getattr(netopt.callbacks, self.row.short_name)
        return kind(
            **(self.arguments(case) if arguments is None else arguments)
        )

    def callbacks(self, case: Case, piece: Any = None) -> list[Any]:
        """The callbacks for `fit`, the piece itself last."""
        before = [BY_NAME[name].build(case) for name in self.beside]
        return [*before, piece or self.build(case)]


def case(model: str, folder: Path) -> Case:
    return Case(zoo.data(model)[0], Path(folder))


def kernels(model: keras.Model) -> list[np.ndarray]:
    """The weights that are pruned by default, as matrices."""
    return _matrices(model)


def _matrices(model: keras.Model, keys: Any = None) -> list[np.ndarray]:
    return [
        target.view.to_2d(np.array(keras.ops.convert_to_numpy(target.variable)))
        for target in netopt.sparsity.select(model).targets
        if keys is None or target.key in keys
    ]


def zeros(model: keras.Model) -> int:
    return sum(int((kernel == 0).sum()) for kernel in kernels(model))


def half_is_zero(before: Any, after: Any, callback: Any) -> bool:
    wanted = round(0.5 * sum(kernel.size for kernel in kernels(after)))
    # A weight that is drawn in half precision may be zero by chance.
    return zeros(before) < 0.1 * wanted and zeros(after) == wanted


def two_of_four(before: Any, after: Any, callback: Any) -> bool:
    masked = [
        (row.weights, row.zeros)
        for row in callback.report().rows
        if row.target is not None
    ]
    fit = all(zero * 2 == size for size, zero in masked)
    runs = [k for k in kernels(after) if k.shape[0] % 4 == 0]
    sparse = [
        ((k != 0).reshape(-1, 4, k.shape[1]).sum(axis=1) == 2).all()
        for k in runs
        if (k == 0).any()
    ]
    return fit and bool(masked) and bool(sparse) and all(sparse)


def whole_blocks(before: Any, after: Any, callback: Any) -> bool:
    for kernel in kernels(after):
        rows, columns = (size - size % 2 for size in kernel.shape)
        cells = kernel[:rows, :columns].reshape(rows // 2, 2, -1, 2)
        share = (cells == 0).mean(axis=(1, 3))
        if not np.isin(share, (0.0, 1.0)).all():
            return False
    size = sum(kernel.size for kernel in kernels(after))
    return abs(zeros(after) - 0.5 * size) <= 2


def equal_outputs(before: Any, after: Any, callback: Any) -> bool:
    rows = [row for row in callback.report().rows if row.target is not None]
    keys = {row.key for row in rows}
    even = [
        len(set((kernel == 0).sum(axis=0))) == 1
        for kernel in _matrices(after, keys)
    ]
    # Rounded to whole weights an output unit, layer by layer.
    share = sum(row.zeros for row in rows) / sum(row.weights for row in rows)
    return bool(even) and all(even) and 0.4 < share < 0.6


def best_is_sparse(before: Any, after: Any, callback: Any) -> bool:
    saved = keras.saving.load_model(callback.filepath)

    def count(model: keras.Model) -> int:
        arrays = zip(model.weights, model.get_weights(), strict=True)
        return sum(int((w == 0).sum()) for v, w in arrays if "kernel" in v.name)

    return count(saved) == count(after) > 2 * count(before)


def fewer_channels(before: Any, after: Any, callback: Any) -> bool:
    report = callback.report()
    half = all(row.after * 2 == row.before for row in report.widths)
    return (
        half
        and callback.complete
        and after.count_params() < before.count_params()
    )


@keras.saving.register_keras_serializable("contract")
@dataclasses.dataclass(frozen=True)
class WidenFirst(surgery.Action):
    """Widens the first layer that may grow, whatever its name."""

    add: int = 2

    def apply(self, model: keras.Model, **options: Any) -> Any:
        return self._found(model).apply(model, **options)

    def rehearse(self, model: keras.Model, copy: Any, **options: Any) -> Any:
        return self._found(model).rehearse(model, copy, **options)

    def _found(self, model: keras.Model) -> surgery.Widen:
        graph = surgery.ChannelGraph(model)
        for group in graph.layer_sets():
            free = not (group.reason or group.normed or group.rigid)
            if free and not isinstance(group.layers[0], tuple):
                return surgery.Widen(graph.path(group.layers[0]), add=self.add)
        raise ValueError("No layer may grow")


def is_larger(before: Any, after: Any, callback: Any) -> bool:
    return (
        len(callback.history) == 1
        and after.count_params() > before.count_params()
        and all(
            r.preserved is None or r.preserved.verdict != "changed"
            for r in callback.reports
        )
    )


def hard_ones_came_late(before: Any, after: Any, callback: Any) -> bool:
    """The first epoch shows the hardest quarter less than all data."""
    counts = callback.shown()[1].astype(float)
    first = counts[0] / counts[0].sum()
    hard = np.argsort(SCORES)[-16:]
    easy = np.argsort(SCORES)[:16]
    return bool(first[hard].sum() < 0.2 < 0.3 < first[easy].sum())


def weighted_by_loss(before: Any, after: Any, callback: Any) -> bool:
    """The last epoch leaves the hardest samples of each class out."""
    left_out = callback.shown()[1][-1] == 0
    scores, labels = callback.scores, zoo.data("mlp")[1].ravel()
    return bool(left_out.any()) and all(
        scores[left_out & of].min() >= scores[~left_out & of].max()
        for of in (labels == label for label in np.unique(labels[left_out]))
    )


def some_were_dropped(before: Any, after: Any, callback: Any) -> bool:
    return callback.selected_steps > 0


PRUNING = "callbacks.Pruning"
CURRICULUM = "callbacks.Curriculum"
SCORES = np.arange(64) * 37 % 64
_HALF = Linear(initial=0.5, final=1.0, begin=0.5, end=1.0)
SELECTIVE = "callbacks.SelectiveBackprop"
GROWING = "callbacks.Growing"
_WIDER = {
    "actions": [WidenFirst()],
    "when": {0: [0]},  # Some checks fit one step only.
    "verbose": 0,
}
CURRICULUM_LOGS = (
    "curriculum_fraction",
    "curriculum_weight_zero",
    "curriculum_coverage",
    "curriculum_refresh_seconds",
)


def _ranked(case: Case, **changed: Any) -> Arguments:
    return {
        "x": case.x,
        "y": zoo.data("mlp")[1],
        "difficulty": SCORES,
        "pacing": _HALF,
        **changed,
    }


# A dial of the zoo's own layers, at which training pulls.
DIAL = "callbacks.Dial"
_BIASES = {
    "attr": "bias",
    "schedule": {0: 0.0, "1ep": 0.25},
    "layers": keras.layers.Dense,
}


def biases_are_set(before: Any, after: Any, callback: Any) -> bool:
    """What a step or two without the callback make of 0.25 still counts."""

    def far(model: keras.Model) -> float:
        found = [
            np.abs(keras.ops.convert_to_numpy(layer.bias) - 0.25).max()
            for layer in walk_layers(model)
            if isinstance(layer, keras.layers.Dense)
        ]
        return max(found)

    return far(before) == 0.25 and far(after) < 0.1


def _dial(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: Dial(**{**_BIASES, **changed})


FINDER = "callbacks.LearningRateFinder"
# Rates at which every model of the zoo learns in a few steps.
_SWEEP = {"min_lr": 0.01, "max_lr": 0.05, "smoothing": 0.0}


def a_rate_was_found(before: Any, after: Any, callback: Any) -> bool:
    """The sweep has gone through, and only its result is left."""
    rates = callback.history["learning_rate"]
    rate = keras.ops.convert_to_numpy(after.optimizer.learning_rate)
    return (
        len(rates) > 1
        and rates[0] == callback.min_lr
        and callback.min_lr <= 10 * callback.suggestion <= callback.max_lr
        and float(rate) not in rates[1:]
    )


def _finder(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: LearningRateFinder(**{**_SWEEP, **changed})


STOPPING = "callbacks.PrecheltStopping"
# There is a number that rises in every fit: GL is 0, 100, 200, ... percent.
_RISING = {"rule": "GL", "threshold": 150, "monitor": "training_macs"}


def first_is_best(before: Any, after: Any, callback: Any) -> bool:
    """It stops at the third epoch, where a fit is that long."""
    end = 2 if callback.params["epochs"] > 2 else None
    return callback.best_epoch == 0 and callback.stopped_epoch == end


def _stopping(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: PrecheltStopping(**{**_RISING, **changed})


# "subclassed" has no graph, and the layer of "shared" reads its own output.
GRAPHS = ("mlp", "cnn", "nested", "gru", "transformer")
_TWO = [WidenFirst(), WidenFirst(3)]
CHANNELS = "callbacks.ChannelPruning"
SMALL = {"round_to": 2, "min_channels": 1}  # The zoo's layers are narrow.
CALLBACKS = (
    Setting(
        name="Pruning",
        piece=PRUNING,
        arguments=lambda case: {"sparsity": 0.5},
        effect=half_is_zero,
        neutral=lambda case: {"sparsity": 0.0},
        twin=lambda model, case: netopt.sparsity.prune(model, 0.5),
        first_event={"sparsity": netopt.schedules.Constant(0.5)},
    ),
    Setting(
        name="Pruning 2:4",
        piece=PRUNING,
        arguments=lambda case: {"pattern": "2:4"},
        effect=two_of_four,
        twin=lambda model, case: netopt.sparsity.prune(model, pattern=NM(2, 4)),
        first_event={"sparsity": netopt.schedules.Constant(0.5)},
    ),
    Setting(
        name="Pruning blocks",
        piece=PRUNING,
        arguments=lambda case: {"sparsity": 0.5, "pattern": Block(2, 2)},
        effect=whole_blocks,
        twin=lambda model, case: netopt.sparsity.prune(
            model, 0.5, pattern=Block(2, 2)
        ),
        first_event={"sparsity": netopt.schedules.Constant(0.5)},
    ),
    Setting(
        name="Pruning saliency",
        piece=PRUNING,
        arguments=lambda case: {
            "sparsity": 0.5,
            "score": "saliency",
            "frequency": 3,
        },
        effect=half_is_zero,
        twin=lambda model, case: netopt.sparsity.prune(
            model,
            0.5,
            score="saliency",
            data=(case.x, zoo.data("mlp")[1]),
        ),
        first_event={
            "sparsity": netopt.schedules.Constant(0.5, begin="2step"),
            "frequency": None,
        },
    ),
    Setting(
        name="Pruning wanda",
        piece=PRUNING,
        arguments=lambda case: {
            "sparsity": 0.5,
            "score": "wanda",
            "data": case.x,
            "frequency": 3,
        },
        effect=equal_outputs,
        twin=lambda model, case: netopt.sparsity.prune(
            model, 0.5, score="wanda", data=case.x
        ),
        first_event={
            "sparsity": netopt.schedules.Constant(0.5),
            "frequency": None,
        },
    ),
    Setting(
        name="BestCheckpoint",
        piece="callbacks.BestCheckpoint",
        arguments=lambda case: {
            "filepath": str(case.folder / "best.keras"),
            "monitor": "loss",
            "mode": "max",  # The dense first epoch would be the best one.
        },
        effect=best_is_sparse,
        beside=("Pruning",),
        neutral=lambda case: {
            "filepath": str(case.folder / "best.keras"),
            "monitor": "loss",
        },
        reference=False,
    ),
    Setting(
        name="ChannelPruning",
        piece=CHANNELS,
        arguments=lambda case: {"ratio": 0.5, **SMALL},
        effect=fewer_channels,
        neutral=lambda case: {"ratio": 0.0},
        twin=lambda model, case: netopt.surgery.prune_channels(
            model, 0.5, **SMALL
        ),
        first_event={"ratio": netopt.schedules.Constant(0.5)},
        reference=False,
        logs=("params", "macs", "channels"),
        models=GRAPHS,
        epochs=5,
        needs_callback=True,
    ),
    Setting(
        name="Growing",
        piece=GROWING,
        models=GRAPHS,
        needs_callback=True,
        arguments=lambda case: _WIDER,
        effect=is_larger,
        neutral=lambda case: {
            **_WIDER,
            "when": surgery.Plateau("loss", patience=99),
        },
        twin=lambda model, case: WidenFirst().apply(
            model, new_units="zero", seed=0
        ),
        reference=False,
        logs=("params", "macs", "growth", "preserved"),
    ),
    Setting(
        name="Growing copies",
        piece=GROWING,
        models=GRAPHS,
        needs_callback=True,
        arguments=lambda case: {
            **_WIDER,
            "when": {0.5: [0]},
            "new_units": "net2net",
            "data": case.x,
        },
        effect=is_larger,
        reference=False,
        logs=("params", "macs", "growth", "preserved"),
    ),
    Setting(
        name="SelectiveBackprop",
        piece=SELECTIVE,
        arguments=lambda case: {
            "keep": 0.5,
            "begin": 0.0,
            "end": 1.0,
            "interrupt": 0,
        },
        effect=some_were_dropped,
        reference=False,
        logs=("backward_share",),
        needs_callback=True,
        by_replica=True,
    ),
    Setting(
        name="SelectiveBackprop top",
        piece=SELECTIVE,
        arguments=lambda case: {"keep": 0.25, "select": "top"},
        effect=some_were_dropped,
        reference=False,
        logs=("backward_share",),
        needs_callback=True,
    ),
    Setting(
        name="Curriculum",
        piece=CURRICULUM,
        arguments=lambda case: _ranked(case),
        effect=hard_ones_came_late,
        neutral=lambda case: _ranked(case, ordering="shuffle"),
        reference=False,
        logs=CURRICULUM_LOGS,
        needs_callback=True,
        epochs=4,
    ),
    Setting(
        name="Curriculum self-paced",
        piece=CURRICULUM,
        arguments=lambda case: _ranked(
            case,
            difficulty="loss",
            ordering=SelfPaced("linear"),
        ),
        effect=weighted_by_loss,
        reference=False,
        logs=CURRICULUM_LOGS,
        needs_callback=True,
    ),
    Setting(
        name="Dial",
        piece=DIAL,
        arguments=lambda case: _BIASES,
        effect=biases_are_set,
        reference=False,
        logs=("dial/bias",),
    ),
    Setting(
        name="CostLedger",
        piece="callbacks.CostLedger",
        arguments=lambda case: {},
        effect=lambda before, after, callback: callback.spent() > 0,
        neutral=lambda case: {},
        reference=False,
        logs=("training_macs",),
    ),
    Setting(
        name="LearningRateFinder",
        piece=FINDER,
        arguments=lambda case: _SWEEP,
        effect=a_rate_was_found,
        reference=False,
        logs=(),
        needs_callback=True,
        epochs=6,
    ),
    Setting(
        name="PrecheltStopping",
        piece=STOPPING,
        arguments=lambda case: _RISING,
        effect=first_is_best,
        beside=("CostLedger",),
        neutral=lambda case: {**_RISING, "monitor": "loss"},
        reference=False,
        logs=("generalization_loss",),
        needs_callback=True,
        epochs=6,
    ),
)
BY_NAME = {setting.name: setting for setting in CALLBACKS}
PIECES = {setting.piece: setting for setting in reversed(CALLBACKS)}


def _nothing_to_prune(folder: Path) -> tuple[keras.Model, list[Any]]:
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.BatchNormalization(momentum=0.9)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    return model, [Pruning(0.5)]


def _never_sparse_enough(folder: Path) -> tuple[keras.Model, list[Any]]:
    best = BestCheckpoint(
        str(folder / "best.keras"), monitor="loss", sparsity=0.9
    )
    return zoo.compiled(eager=True), [Pruning(0.5), best]


def _nothing_to_cut(folder: Path) -> tuple[keras.Model, list[Any]]:
    model, _ = _nothing_to_prune(folder)
    return model, [ChannelPruning(0.5)]


def _nothing_to_grow(folder: Path) -> tuple[keras.Model, list[Any]]:
    growing = Growing(**{**_WIDER, "max_params": 1})
    return zoo.compiled(eager=True), [growing]


def _nothing_to_order(folder: Path) -> tuple[keras.Model, list[Any]]:
    model, _ = _nothing_to_prune(folder)
    x, y = zoo.data("mlp")
    everything = Constant(1.0, initial=1.0)
    return model, [Curriculum(x, y, difficulty=SCORES, pacing=everything)]


def _nothing_to_count(folder: Path) -> tuple[keras.Model, list[Any]]:
    model, _ = _nothing_to_prune(folder)
    return model, [CostLedger()]


def _nothing_to_select(folder: Path) -> tuple[keras.Model, list[Any]]:
    model, _ = _nothing_to_prune(folder)
    return model, [SelectiveBackprop(begin=1.0, end=1.0)]


def _nothing_to_turn(folder: Path) -> tuple[keras.Model, list[Any]]:
    return zoo.compiled(eager=True), [Dial("rate", 0.5)]


def _nothing_to_find(folder: Path) -> tuple[keras.Model, list[Any]]:
    finder = LearningRateFinder(1e3, 1e4)  # The loss only rises.
    return zoo.compiled(eager=True), [finder]


def _nothing_to_watch(folder: Path) -> tuple[keras.Model, list[Any]]:
    return zoo.compiled(eager=True), [PrecheltStopping()]


# C8: where a piece has nothing to do, and what its remedy names.
IDLE = {
    PRUNING: (_nothing_to_prune, "`include`"),
    "callbacks.BestCheckpoint": (_never_sparse_enough, "Train longer"),
    CHANNELS: (_nothing_to_cut, "`include`"),
    GROWING: (_nothing_to_grow, "Raise `max_params`"),
    SELECTIVE: (_nothing_to_select, "an earlier `begin`"),
    CURRICULUM: (_nothing_to_order, "`pacing`"),
    DIAL: (_nothing_to_turn, "`layers`"),
    "callbacks.CostLedger": (_nothing_to_count, "`cost.summarize(model)`"),
    FINDER: (_nothing_to_find, "Lower `min_lr`"),
    STOPPING: (_nothing_to_watch, "`validation_data`"),
}


def _pruning(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: Pruning(**{"sparsity": 0.5, **changed})


def _best(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: BestCheckpoint(
        **{"filepath": str(case.folder / "best.keras"), **changed}
    )


def _wanda(data: Callable[[Case], Any]) -> Callable[[Case], Any]:
    return lambda case: Pruning(0.5, score="wanda", data=data(case))


def _channels(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: ChannelPruning(**{"ratio": 0.5, **SMALL, **changed})


def _labelled(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: ChannelPruning(
        0.5, **{**SMALL, "data": (case.x, zoo.data("mlp")[1]), **changed}
    )


@keras.saving.register_keras_serializable("contract")
def hidden_units(model: keras.Model) -> float:
    return float(model.layers[0].units)


def _growing(**changed: Any) -> Any:
    return lambda case: Growing(**{**_WIDER, **changed})


def _gradmax(data: Any) -> Any:
    return lambda case: Growing(
        **{**_WIDER, "new_units": "gradmax", "data": data(case)}
    )


def _selective(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: SelectiveBackprop(
        **{"keep": 0.5, "begin": 0.0, **changed}
    )


def _targets(case: Any) -> Any:
    return zoo.data("mlp")[1]


def _curriculum(**changed: Any) -> Any:
    return lambda case: Curriculum(**_ranked(case, **changed))


# Easy ones are of the first class, hard ones of the last.
_SORTED = zoo.data("mlp")[1] * 64 + np.arange(64)
_EARLY = Linear(initial=0.3, final=1.0, begin=0.5, end=1.0)


def _guarded(**changed: Any) -> Any:
    return _curriculum(difficulty=_SORTED, pacing=_EARLY, **changed)


# C20: one wrong value an argument. What needs the model or data may be
# refused at train begin only.
BAD: dict[str, dict[str, Callable[[Case], Any]]] = {
    PRUNING: {
        "sparsity": _pruning(sparsity=1.0),
        "score": _pruning(score="best"),
        "allocation": _pruning(allocation="fair"),
        "pattern": _pruning(pattern="diamond"),
        "include": _pruning(include="no_such_weight"),
        "exclude": _pruning(exclude="no_such_weight"),
        "frequency": _pruning(frequency=0),
        "data": _wanda(lambda case: None),
        "min_size": _pruning(min_size=-1),
        "min_kept": _pruning(min_kept=0.5),
        "seed": _pruning(score="random", seed="one"),
    },
    "callbacks.BestCheckpoint": {
        "filepath": _best(filepath=3),
        "monitor": _best(monitor=None),
        "mode": _best(mode="best"),
        "sparsity": _best(sparsity=1.5),
        "save_weights_only": _best(save_weights_only="yes"),
        "verbose": _best(verbose="loud"),
    },
    CHANNELS: {
        "ratio": _channels(ratio=1.0),
        "score": _channels(score="best"),
        "target": _channels(target="speed"),
        "allocation": _channels(allocation="fair"),
        "steps": _channels(steps=0),
        "round_to": _channels(round_to=0),
        "min_channels": _channels(min_channels=0),
        "include": _channels(include="no_such_layer"),
        "exclude": _channels(exclude="no_such_layer"),
        "data": _channels(score="taylor", data=None),
        "recalibrate": _channels(recalibrate="yes"),
        "meter": _channels(target="latency", meter=3),
        "allow_inexact": _channels(allow_inexact=1),
        "seed": _channels(score="random", seed="one"),
    },
    GROWING: {
        "actions": _growing(actions=[]),
        "when": _growing(when="soon"),
        "new_units": _growing(new_units="even"),
        "until": _growing(until=3),
        "max_params": _growing(max_params=0),
        "max_macs": _growing(max_macs=0),
        "final": _growing(final=1.0),
        "data": _gradmax(lambda case: case.x),
        "preserve_tolerance": _growing(preserve_tolerance=0),
        "on_violation": _growing(on_violation="stop"),
        "verbose": _growing(verbose="loud"),
    },
    SELECTIVE: {
        "keep": _selective(keep=1.0),
        "select": _selective(select="best"),
        "begin": _selective(begin="soon"),
        "end": _selective(begin=0.5, end=0.2),
        "interrupt": _selective(interrupt=1),
        "seed": _selective(seed=-1),
    },
    CURRICULUM: {
        "x": _curriculum(x=3),
        "y": _curriculum(y=np.zeros(63)),
        "sample_weight": _curriculum(sample_weight=-np.ones(64)),
        "difficulty": _curriculum(difficulty=np.full(64, np.nan)),
        "pacing": _curriculum(pacing="fast"),
        "ordering": _curriculum(ordering="fair"),
        "length": _curriculum(length=8),
        "refresh": _curriculum(refresh="often"),
        "warmup": _curriculum(warmup=1),
        "labels": _curriculum(labels=np.zeros(3, int)),
        "class_balanced": _curriculum(class_balanced="yes"),
        "min_share": _curriculum(min_share=1.5),
        "min_per_class": _curriculum(min_per_class=-1),
        "by": _curriculum(by="size"),
        "num_samples": _curriculum(num_samples=5),
        "verbose": _curriculum(verbose="loud"),
        "seed": _curriculum(seed="one"),
    },
    DIAL: {
        "attr": _dial(attr="no_such_weight"),
        "schedule": _dial(schedule="fast"),
        "layers": _dial(layers="no_such_layer"),
        "scale": _dial(scale="square"),
        "per": _dial(per="batch"),
    },
    "callbacks.CostLedger": {},
    FINDER: {
        "min_lr": _finder(min_lr=0.0),
        "max_lr": _finder(max_lr=0.01),
        "steps": _finder(steps=100),
        "smoothing": _finder(smoothing=1.0),
        "stop_factor": _finder(stop_factor=1.0),
    },
    STOPPING: {
        "rule": _stopping(rule="best"),
        "threshold": _stopping(rule="UP", threshold=0),
        "strip": _stopping(rule="PQ", strip=1),
        "monitor": _stopping(monitor="val_accuracy"),
        "train_monitor": _stopping(train_monitor="accuracy"),
    },
}

# C4b: two callbacks that differ in one argument; config and outcome differ.
# The base is what `_pruning()` or `_best()` builds where it is left out.
CHANGES: dict[str, dict[str, tuple[Callable[[Case], Any], ...]]] = {
    PRUNING: {
        "sparsity": (_pruning(), _pruning(sparsity=Linear(final=0.5, end=4))),
        "score": (_pruning(), _pruning(score="random")),
        "allocation": (_pruning(), _pruning(allocation="uniform")),
        "pattern": (_pruning(), _pruning(pattern="2:4")),
        "include": (_pruning(), _pruning(include="first")),
        "exclude": (_pruning(), _pruning(exclude="last")),
        "frequency": (_pruning(), _pruning(frequency=100)),
        "data": (
            _wanda(lambda case: case.x),
            _wanda(lambda case: case.x[:, ::-1] * np.arange(8)),
        ),
        "min_size": (_pruning(), _pruning(min_size=100)),
        "min_kept": (_pruning(), _pruning(min_kept=40)),
        "seed": (_pruning(score="random"), _pruning(score="random", seed=1)),
    },
    "callbacks.BestCheckpoint": {
        "filepath": (
            _best(monitor="loss"),
            lambda case: BestCheckpoint(
                str(case.folder / "other.keras"), monitor="loss"
            ),
        ),
        "monitor": (_best(monitor="loss"), _best(monitor="accuracy")),
        "mode": (
            _best(monitor="loss", sparsity=0.1),
            _best(monitor="loss", sparsity=0.1, mode="max"),
        ),
        "sparsity": (
            _best(monitor="loss", mode="max"),
            _best(monitor="loss", mode="max", sparsity=0.1),
        ),
        "save_weights_only": (
            _best(monitor="loss"),
            _best(monitor="loss", save_weights_only=True),
        ),
        "verbose": (_best(monitor="loss"), _best(monitor="loss", verbose=1)),
    },
    CHANNELS: {
        "ratio": (_channels(), _channels(ratio=0.25)),
        "score": (_channels(), _channels(score="random")),
        "target": (_channels(), _channels(target="params")),
        "allocation": (
            _channels(),
            _channels(allocation="global"),
            "transformer",
        ),
        "steps": (_channels(), _channels(steps=1)),
        "round_to": (_channels(), _channels(round_to=16)),
        "min_channels": (_channels(), _channels(min_channels=12)),
        "include": (
            _channels(),
            _channels(include=keras.layers.Dense),
            "transformer",
        ),
        "exclude": (
            _channels(exclude=None),
            _channels(exclude=keras.layers.Dense),
        ),
        "data": (
            _labelled(score="taylor"),
            lambda case: ChannelPruning(
                0.5,
                **SMALL,
                score="taylor",
                data=(case.x[:, ::-1] * np.arange(8), zoo.data("mlp")[1]),
            ),
        ),
        "recalibrate": (_labelled(), _labelled(recalibrate=True), "cnn"),
        "meter": (
            _channels(target="latency", meter=None),
            _channels(target="latency", meter=hidden_units),
        ),
        "allow_inexact": (
            _channels(),
            _channels(allow_inexact=True),
            "transformer",
        ),
        "seed": (
            _channels(score="random"),
            _channels(score="random", seed=1),
        ),
    },
    GROWING: {
        "actions": (_growing(), _growing(actions=[WidenFirst(3)])),
        "when": (_growing(), _growing(when={2: [0]})),
        "new_units": (_growing(), _growing(new_units="random")),
        "until": (
            _growing(when=surgery.Every("1step")),
            _growing(
                when=surgery.Every("1step"),
                until=surgery.NoGain(monitor="loss"),
            ),
        ),
        "max_params": (_growing(), _growing(max_params=1)),
        "max_macs": (_growing(), _growing(max_macs=1)),
        "final": (
            _growing(actions=_TWO, when=surgery.Every(3)),
            _growing(actions=_TWO, when=surgery.Every(3), final=0.5),
        ),
        "data": (
            _gradmax(lambda case: (case.x, _targets(case))),
            _gradmax(lambda case: (-case.x, _targets(case))),
        ),
        "preserve_tolerance": (
            _growing(new_units="net2net"),
            _growing(new_units="net2net", preserve_tolerance=1e-12),
        ),
        "on_violation": (
            _growing(new_units="net2net", preserve_tolerance=1e-12),
            # Raises in `fit`: the test must take that for another outcome.
            _growing(
                new_units="net2net",
                preserve_tolerance=1e-12,
                on_violation="raise",
            ),
        ),
        "verbose": (_growing(), _growing(verbose=1)),
    },
    SELECTIVE: {
        "keep": (_selective(), _selective(keep=0.25)),
        "select": (_selective(), _selective(select="top")),
        "begin": (_selective(), _selective(begin=4)),
        "end": (_selective(), _selective(end=4)),
        "interrupt": (_selective(), _selective(interrupt=0)),
        "seed": (_selective(), _selective(seed=1)),
    },
    CURRICULUM: {
        "x": (_curriculum(), lambda case: _curriculum(x=-case.x)(case)),
        "y": (_curriculum(), _curriculum(y=(np.arange(64) + 1) % 3)),
        "sample_weight": (
            _curriculum(),
            _curriculum(sample_weight=np.linspace(0.0, 1.0, 64)),
        ),
        "difficulty": (_curriculum(), _curriculum(difficulty=-SCORES)),
        "pacing": (_curriculum(), _curriculum(pacing=_EARLY)),
        "ordering": (_curriculum(), _curriculum(ordering="hard_first")),
        "length": (
            _curriculum(),
            _curriculum(length=SequenceLengthWarmup(2, end=0.5)),
            "transformer",
        ),
        "refresh": (
            _curriculum(difficulty="loss"),
            _curriculum(difficulty="loss", refresh="2ep"),
        ),
        "warmup": (
            _curriculum(difficulty="loss"),
            _curriculum(difficulty="loss", warmup="0ep"),
        ),
        "labels": (
            _guarded(),
            _guarded(labels=np.arange(64) // 32),
        ),
        "class_balanced": (_guarded(), _guarded(class_balanced=True)),
        "min_share": (_guarded(), _guarded(min_share=0.0)),
        "min_per_class": (
            _guarded(min_share=0.0),
            _guarded(min_share=0.0, min_per_class=6),
        ),
        "by": (
            _curriculum(difficulty=1.1**SCORES),
            _curriculum(difficulty=1.1**SCORES, by="value"),
        ),
        "num_samples": (_curriculum(), _curriculum(num_samples=64)),
        "verbose": (
            _curriculum(difficulty="loss"),
            _curriculum(difficulty="loss", verbose=1),
        ),
        "seed": (_curriculum(), _curriculum(seed=1)),
    },
    DIAL: {
        "attr": (_dial(), _dial(attr="kernel")),
        "schedule": (_dial(), _dial(schedule=0.5)),
        "layers": (_dial(), _dial(layers="out")),
        "scale": (_dial(), _dial(scale="linear")),
        "per": (
            _dial(schedule=Linear(final=1.0)),
            _dial(schedule=Linear(final=1.0), per="epoch"),
        ),
    },
    "callbacks.CostLedger": {},
    FINDER: {
        "min_lr": (_finder(), _finder(min_lr=0.02)),
        "max_lr": (_finder(), _finder(max_lr=0.1)),
        "steps": (_finder(), _finder(steps=6)),
        "smoothing": (_finder(), _finder(smoothing=0.5)),
        "stop_factor": (
            _finder(max_lr=10.0),
            _finder(max_lr=10.0, stop_factor=1.01),
        ),
    },
    STOPPING: {
        "rule": (
            _stopping(threshold=2, strip=1),
            _stopping(threshold=2, strip=1, rule="UP"),
        ),
        "threshold": (_stopping(), _stopping(threshold=250)),
        "strip": (
            _stopping(rule="UP", threshold=1, strip=1),
            _stopping(rule="UP", threshold=1, strip=2),
        ),
        "monitor": (_stopping(), _stopping(monitor="loss")),
        "train_monitor": (
            _stopping(rule="PQ", strip=2, threshold=0.5),
            _stopping(
                rule="PQ",
                strip=2,
                threshold=0.5,
                train_monitor="training_macs",
            ),
        ),
    },
}

FUNCTIONS = functions.FUNCTIONS
