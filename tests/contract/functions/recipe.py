"""Rows of the contract for callbacks for a target."""

from typing import Any

from contract.function_setting import Call, FunctionSetting

import keras_netopt as netopt


def _recipe(**changed: Any) -> Call:
    def call(model, folder):
        arguments = {"target": netopt.Target(kilobytes=60), **changed}
        return [type(one).__name__ for one in netopt.recipe(**arguments)]

    return call


FUNCTIONS = (
    FunctionSetting(
        component="compression.recipe",
        call=_recipe(),
        bad={
            "target": _recipe(target=60),
            "teacher": _recipe(teacher="teacher"),
            "zeros": _recipe(zeros=1.0),
            "calibration_data": _recipe(calibration_data=3),
            "min_channels": _recipe(min_channels=0),
        },
    ),
)
