"""Rows of the contract for SparseTraining."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract.callback_setting import Case, Setting, idle_model
from contract.counts import kernels, zeros

from keras_netopt.callbacks import SparseTraining
from keras_netopt.schedules import Constant

COMPONENT = "callbacks.SparseTraining"


def half_is_masked(before: Any, after: Any, callback: Any) -> bool:
    wanted = 0.5 * sum(kernel.size for kernel in kernels(after))
    # Each kernel is rounded by itself; a weight that grew in the last step
    # of the fit, or was drawn in half precision, may be zero too.
    slack = len(kernels(after)) + 0.1 * wanted
    return zeros(before) < 0.1 * wanted and 0 <= zeros(after) - wanted < slack


def _sparse(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: SparseTraining(
        **{"sparsity": 0.5, "frequency": 2, "regrow": "random", **changed}
    )


def _wanda(data: Callable[[Case], Any]) -> Callable[[Case], Any]:
    return lambda case: SparseTraining(
        0.5, score="wanda", calibration_data=data(case)
    )


def _nothing_to_mask(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [SparseTraining(0.5)]


SETTINGS = (
    Setting(
        name="SparseTraining",
        component=COMPONENT,
        arguments=lambda case: {
            "sparsity": 0.5,
            "regrow": "random",
            "frequency": 3,
            "allocation": "uniform",
        },
        effect=half_is_masked,
        neutral=lambda case: {"sparsity": 0.0},
    ),
    Setting(
        name="SparseTraining gradient",
        component=COMPONENT,
        arguments=lambda case: {
            "sparsity": 0.5,
            "frequency": 4,
            "regrow": "gradient",
            "allocation": "uniform",
        },
        effect=half_is_masked,
        reference=False,  # Gradients that differ in a bit choose others.
    ),
    Setting(
        name="SparseTraining straight-through",
        component=COMPONENT,
        arguments=lambda case: {
            "sparsity": 0.5,
            "frequency": 3,
            "regrow": "straight_through",
            "decay": 2e-4,
            "allocation": "uniform",
        },
        effect=half_is_masked,
    ),
)

IDLE = (_nothing_to_mask, "`include`")

BAD: dict[str, Callable[[Case], Any]] = {
    "sparsity": _sparse(sparsity=1.0),
    "regrow": _sparse(regrow="hope"),
    "score": _sparse(score="best"),
    "allocation": _sparse(allocation="fair"),
    "pattern": _sparse(pattern="diamond"),
    "drop_fraction": _sparse(drop_fraction=1.5),
    "decay": _sparse(regrow="straight_through", decay=-1.0),
    "frequency": _sparse(frequency=0),
    "control": _sparse(control="reverse"),
    "include": _sparse(include="no_such_weight"),
    "exclude": _sparse(exclude="no_such_weight"),
    "calibration_data": _wanda(lambda case: None),
    "min_size": _sparse(min_size=-1),
    "min_kept": _sparse(min_kept=0.5),
    "seed": _sparse(seed="one"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "sparsity": (_sparse(), _sparse(sparsity=0.7)),
    "regrow": (_sparse(), _sparse(regrow="momentum")),
    "score": (_sparse(), _sparse(score="magnitude")),
    "allocation": (_sparse(), _sparse(allocation="uniform")),
    "pattern": (_sparse(), _sparse(pattern="channel")),
    "drop_fraction": (_sparse(), _sparse(drop_fraction=Constant(0.5))),
    "decay": (
        _sparse(regrow="straight_through"),
        _sparse(regrow="straight_through", decay=0.5),
    ),
    "frequency": (_sparse(), _sparse(frequency=100)),
    "control": (
        _sparse(score="magnitude", regrow=None),
        _sparse(score="magnitude", regrow=None, control="shuffle_mask"),
    ),
    "include": (_sparse(), _sparse(include="first")),
    "exclude": (_sparse(), _sparse(exclude="last")),
    "calibration_data": (
        _wanda(lambda case: case.x),
        _wanda(lambda case: case.x[:, ::-1] * range(8)),
    ),
    "min_size": (_sparse(), _sparse(min_size=100)),
    "min_kept": (
        _sparse(allocation="global", score="magnitude"),
        _sparse(allocation="global", score="magnitude", min_kept=40),
    ),
    "seed": (_sparse(), _sparse(seed=1)),
}
