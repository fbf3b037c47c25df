"""Settings of the curriculum functions for the contract tests."""

from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import curriculum, schedules


def _losses(**changed: Any) -> Call:
    x, y = zoo.data("mlp")
    return lambda model, folder: curriculum.sample_losses(
        **{"model": model, "x": x, "y": y, **changed}
    )


def _super_loss(**changed: Any) -> Call:
    return lambda model, folder: curriculum.SuperLoss(
        **{"base_loss": "mse", "tau": 1.0, **changed}
    ).get_config()


def _select(**changed: Any) -> Call:
    def call(model, folder):
        losses = keras.ops.convert_to_tensor([0.1, 0.7, 0.3, 0.5])
        arguments = {"losses": losses, "method": "top", **changed}
        selected = curriculum.select_samples(**arguments)
        return keras.ops.convert_to_numpy(selected).tolist()

    return call


def _compare(**changed: Any) -> Call:
    x, y = zoo.data("mlp", samples=16)

    def call(model, folder):
        arguments = {
            "build_model": lambda: zoo.compiled(eager=True, metrics=None),
            "x": x,
            "y": y,
            "validation_data": (x, y),
            "arms": ("shuffle", "easy_first"),
            "difficulty": np.arange(16) * 7 % 16,
            "pacing": schedules.Linear(initial=0.5, final=1.0),
            "seeds": 1,
            "epochs": 1,
            "batch_size": 4,
            **changed,
        }
        return curriculum.compare_arms(**arguments)

    return call


FUNCTIONS = (
    FunctionSetting(
        component="curriculum.SuperLoss",
        call=_super_loss(),
        is_pruned=False,
        bad={
            "base_loss": _super_loss(base_loss=3),
            "tau": _super_loss(tau="median"),
            "lam": _super_loss(lam=0.0),
        },
        free=("reduction", "name", "dtype"),
    ),
    FunctionSetting(
        component="curriculum.select_samples",
        call=_select(),
        is_pruned=False,
        bad={
            "losses": _select(losses=np.ones((4, 2))),
            "keep_fraction": _select(keep_fraction=1.0),
            "method": _select(method="best"),
            "noise": _select(method="percentile"),
            "irreducible_loss": _select(method="rho"),
        },
        free=("sample_weight",),
    ),
    FunctionSetting(
        component="curriculum.compare_arms",
        call=_compare(),
        is_pruned=False,
        bad={
            "build_model": _compare(build_model=3),
            "x": _compare(x=np.zeros((0, 8))),
            "y": _compare(y=np.zeros(3)),
            "validation_data": _compare(validation_data=None),
            "arms": _compare(arms=("shuffle", "by_name")),
            "seeds": _compare(seeds=0),
            "epochs": _compare(epochs=0),
            "batch_size": _compare(batch_size=0),
            "difficulty": _compare(difficulty="hard"),
            "pacing": _compare(pacing="fast"),
            "monitor": _compare(monitor="val_beauty"),
            "target": _compare(target="high"),
            "verbose": _compare(verbose="loud"),
        },
    ),
    FunctionSetting(
        component="curriculum.sample_losses",
        call=_losses(),
        bad={
            "model": _losses(model=NOT_A_MODEL),
            "x": _losses(x=3),
            "y": _losses(y=np.zeros(3)),
        },
        free=("verbose",),
    ),
)
