"""Contract settings of the fine-tuning functions."""

from typing import Any

import keras
import numpy as np
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import fine_tuning


def _normalized() -> keras.Model:
    dense = keras.layers.Dense(3, name="out")
    model = keras.Sequential([keras.Input((4,)), dense])
    return fine_tuning.add_weight_normalization(model)


def _warm_start(**changed: Any) -> Call:
    def call(model, folder):
        source = keras.models.clone_model(model)
        source.set_weights([np.ones(v.shape) for v in model.weights])
        arguments = {"source": source, **changed}
        return fine_tuning.warm_start(model, **arguments).copied

    return call


FUNCTIONS = (
    FunctionSetting(
        component="fine_tuning.add_weight_normalization",
        call=lambda model, folder: fine_tuning.add_weight_normalization(
            model
        ).count_params(),
        bad={
            "model": lambda model, folder: fine_tuning.add_weight_normalization(
                NOT_A_MODEL
            ),
            "include": lambda model, folder: (
                fine_tuning.add_weight_normalization(model, "none")
            ),
            "exclude": lambda model, folder: (
                fine_tuning.add_weight_normalization(model, exclude="none")
            ),
        },
    ),
    FunctionSetting(
        component="fine_tuning.remove_weight_normalization",
        call=lambda model, folder: fine_tuning.remove_weight_normalization(
            _normalized()
        ).count_params(),
        bad={
            "model": lambda model, folder: (
                fine_tuning.remove_weight_normalization(model)
            ),
        },
    ),
    FunctionSetting(
        component="fine_tuning.initialize_weight_normalization",
        call=lambda model, folder: fine_tuning.initialize_weight_normalization(
            _normalized(), np.eye(4)
        ),
        bad={
            "model": lambda model, folder: (
                fine_tuning.initialize_weight_normalization(model, np.eye(8))
            ),
            "x": lambda model, folder: (
                fine_tuning.initialize_weight_normalization(
                    _normalized(), "data"
                )
            ),
        },
    ),
    FunctionSetting(
        component="fine_tuning.warm_start",
        call=_warm_start(),
        changes=True,
        is_pruned=False,
        bad={
            "model": lambda model, folder: fine_tuning.warm_start(
                NOT_A_MODEL, model
            ),
            "source": _warm_start(source=NOT_A_MODEL),
            "include": _warm_start(include="none"),
            "exclude": _warm_start(exclude="none"),
            "partial": _warm_start(partial=1),
            "shrink": _warm_start(shrink=1.5),
            "noise": _warm_start(noise=-0.1),
        },
    ),
)
