"""Contract settings of the functions of architecture search."""

from typing import Any

import keras
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import layers, search


def supernet() -> keras.Model:
    keras.utils.set_random_seed(7)
    candidates = [keras.layers.Dense(4), keras.layers.Identity()]
    choice = layers.Choice(candidates, name="choice")
    norm = keras.layers.BatchNormalization()
    return keras.Sequential([keras.Input((4,)), choice, norm])


def _extract(**changed: Any) -> Call:
    arguments = {"architecture": {"choice": 0}, **changed}
    return lambda model, folder: search.extract(
        supernet(), **arguments
    ).count_params()


FUNCTIONS = (
    FunctionSetting(
        component="search.extract",
        call=_extract(),
        is_pruned=False,
        bad={
            "model": lambda model, folder: search.extract(NOT_A_MODEL),
            "architecture": _extract(architecture={"choice": 2}),
            "calibration_data": _extract(calibration_data=3),
        },
    ),
)
