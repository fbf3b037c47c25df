"""Contract settings of the fine-tuning functions."""

import keras
import numpy as np
from contract.function_setting import NOT_A_MODEL, FunctionSetting

from keras_netopt import fine_tuning


def _normalized() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    return fine_tuning.add_weight_normalization(model)


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
)
