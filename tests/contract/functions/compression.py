"""Rows of the contract for compression under a budget."""

from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

import keras_netopt as netopt


def _compress(**changed: Any) -> Call:
    def call(model, folder):
        x, y = zoo.data("mlp")
        arguments = {
            "model": model,
            "x": x,
            "y": y,
            "validation_data": (x, y),
            "target": netopt.Target(kilobytes=100),
            "path": folder / "model.tflite",
            "epochs": 1,
            "max_drop": 1.0,
            "overwrite": True,
            "verbose": 0,
        }
        return netopt.compress(**{**arguments, **changed}).file.kilobytes

    return call


X, Y = zoo.data("mlp")
FUNCTIONS = (
    FunctionSetting(
        component="compression.compress",
        call=_compress(),
        is_pruned=False,
        tensorflow=True,
        bad={
            "model": _compress(model=NOT_A_MODEL),
            "x": _compress(x=X, y=None),
            "y": _compress(y=Y[:3]),
            "target": _compress(target=60),
            "validation_data": _compress(validation_data=None),
            "path": _compress(path="model.pb"),
            "max_drop": _compress(max_drop=-1.0),
            "epochs": _compress(epochs=0),
            "batch_size": _compress(batch_size=0),
            "sample_weight": _compress(sample_weight=np.ones(3)),
            "metric": _compress(metric=["accuracy"]),
            "mode": _compress(mode="up"),
            "learning_rate": _compress(learning_rate=0.0),
            "distillation": _compress(distillation=4),
            "callbacks": _compress(callbacks=[keras.layers.Dense(1)]),
            "folder": _compress(folder=3),
            "overwrite": _compress(overwrite="yes"),
            "verbose": _compress(verbose=3),
        },
        free=("seed",),
    ),
)
