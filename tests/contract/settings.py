"""One row a setting of a public piece; every check of the contract reads it.

A new piece is a new row here and in `keras_netopt.registry`. What a piece
cannot do is a line of its registry row's `limits`, never an exception here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import functions, zoo

import keras_netopt as netopt
from keras_netopt import registry
from keras_netopt.callbacks import BestCheckpoint, Pruning
from keras_netopt.schedules import Linear
from keras_netopt.sparsity import NM, Block

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


PRUNING = "callbacks.Pruning"
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


# C8: where a piece has nothing to do, and what its remedy names.
IDLE = {
    PRUNING: (_nothing_to_prune, "`include`"),
    "callbacks.BestCheckpoint": (_never_sparse_enough, "Train longer"),
}


def _pruning(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: Pruning(**{"sparsity": 0.5, **changed})


def _best(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: BestCheckpoint(
        **{"filepath": str(case.folder / "best.keras"), **changed}
    )


def _wanda(data: Callable[[Case], Any]) -> Callable[[Case], Any]:
    return lambda case: Pruning(0.5, score="wanda", data=data(case))


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
}

FUNCTIONS = functions.FUNCTIONS
