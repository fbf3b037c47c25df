"""Rows of the contract for Pruning."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.callback_setting import Case, Setting, idle_model
from contract.counts import kernels, matrices, zeros

import keras_netopt as netopt
from keras_netopt.callbacks import Pruning
from keras_netopt.schedules import Linear
from keras_netopt.sparsity import NM, Block

COMPONENT = "callbacks.Pruning"


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
        for kernel in matrices(after, keys)
    ]
    # Rounded to whole weights an output unit, layer by layer.
    share = sum(row.zeros for row in rows) / sum(row.weights for row in rows)
    return bool(even) and all(even) and 0.4 < share < 0.6


def _pruning(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: Pruning(**{"sparsity": 0.5, **changed})


def _wanda(data: Callable[[Case], Any]) -> Callable[[Case], Any]:
    return lambda case: Pruning(0.5, score="wanda", calibration_data=data(case))


def _nothing_to_prune(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [Pruning(0.5)]


SETTINGS = (
    Setting(
        name="Pruning",
        component=COMPONENT,
        arguments=lambda case: {"sparsity": 0.5},
        effect=half_is_zero,
        neutral=lambda case: {"sparsity": 0.0},
        twin=lambda model, case: netopt.sparsity.prune(model, 0.5),
        first_event={"sparsity": netopt.schedules.Constant(0.5)},
    ),
    Setting(
        name="Pruning 2:4",
        component=COMPONENT,
        arguments=lambda case: {"pattern": "2:4"},
        effect=two_of_four,
        twin=lambda model, case: netopt.sparsity.prune(model, pattern=NM(2, 4)),
        first_event={"sparsity": netopt.schedules.Constant(0.5)},
    ),
    Setting(
        name="Pruning blocks",
        component=COMPONENT,
        arguments=lambda case: {"sparsity": 0.5, "pattern": Block(2, 2)},
        effect=whole_blocks,
        twin=lambda model, case: netopt.sparsity.prune(
            model, 0.5, pattern=Block(2, 2)
        ),
        first_event={"sparsity": netopt.schedules.Constant(0.5)},
    ),
    Setting(
        name="Pruning taylor",
        component=COMPONENT,
        arguments=lambda case: {
            "sparsity": 0.5,
            "score": "taylor",
            "frequency": 4,  # Saved at step 8, with sums since step 6.
        },
        effect=half_is_zero,
        twin=lambda model, case: netopt.sparsity.prune(
            model,
            0.5,
            score="taylor",
            calibration_data=(case.x, zoo.data("mlp")[1]),
        ),
        first_event={
            "sparsity": netopt.schedules.Constant(0.5, begin="2step"),
            "frequency": None,
        },
    ),
    Setting(
        name="Pruning wanda",
        component=COMPONENT,
        arguments=lambda case: {
            "sparsity": 0.5,
            "score": "wanda",
            "calibration_data": case.x,
            "frequency": 3,
        },
        effect=equal_outputs,
        twin=lambda model, case: netopt.sparsity.prune(
            model, 0.5, score="wanda", calibration_data=case.x
        ),
        first_event={
            "sparsity": netopt.schedules.Constant(0.5),
            "frequency": None,
        },
    ),
    Setting(
        name="Pruning synflow",
        component=COMPONENT,
        arguments=lambda case: {
            "sparsity": 0.5,
            "score": netopt.sparsity.SynFlow(rounds=2),
        },
        effect=half_is_zero,
        twin=lambda model, case: netopt.sparsity.prune(
            model, 0.5, score=netopt.sparsity.SynFlow(rounds=2)
        ),
        first_event={"sparsity": netopt.schedules.Constant(0.5)},
    ),
)

IDLE = (_nothing_to_prune, "`include`")

BAD: dict[str, Callable[[Case], Any]] = {
    "sparsity": _pruning(sparsity=1.0),
    "score": _pruning(score="best"),
    "allocation": _pruning(allocation="fair"),
    "pattern": _pruning(pattern="diamond"),
    "include": _pruning(include="no_such_weight"),
    "exclude": _pruning(exclude="no_such_weight"),
    "frequency": _pruning(frequency=0),
    "calibration_data": _wanda(lambda case: None),
    "min_size": _pruning(min_size=-1),
    "min_kept": _pruning(min_kept=0.5),
    "seed": _pruning(score="random", seed="one"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "sparsity": (_pruning(), _pruning(sparsity=Linear(final=0.5, end=4))),
    "score": (_pruning(), _pruning(score="random")),
    "allocation": (_pruning(), _pruning(allocation="uniform")),
    "pattern": (_pruning(), _pruning(pattern="2:4")),
    "include": (_pruning(), _pruning(include="first")),
    "exclude": (_pruning(), _pruning(exclude="last")),
    "frequency": (_pruning(), _pruning(frequency=100)),
    "calibration_data": (
        _wanda(lambda case: case.x),
        _wanda(lambda case: case.x[:, ::-1] * np.arange(8)),
    ),
    "min_size": (_pruning(), _pruning(min_size=100)),
    "min_kept": (_pruning(), _pruning(min_kept=40)),
    "seed": (_pruning(score="random"), _pruning(score="random", seed=1)),
}
