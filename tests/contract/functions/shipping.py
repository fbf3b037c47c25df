"""Rows of the contract for export and cost."""

from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import cost, export


def _litert(**changed: Any) -> Call:
    return lambda model, folder: export.to_litert(
        model,
        **{"path": folder / "model.tflite", "overwrite": True, **changed},
    )


def _latency(**changed: Any) -> Call:
    def call(model, folder):
        arguments = {"models": model, "rounds": 2, "warmup": 0, **changed}
        cost.measure_latency(**arguments)

    return call


FUNCTIONS = (
    FunctionSetting(
        component="export.to_litert",
        call=lambda model, folder: _litert()(model, folder).size,
        tensorflow=True,
        bad={
            "model": lambda model, folder: _litert()(NOT_A_MODEL, folder),
            "path": _litert(path="model.pb"),
            "quantize": _litert(quantize="int3"),
            "sparse": _litert(sparse=True, quantize="int16x8"),
            "calibration_data": _litert(
                calibration_data=np.zeros((4, 9), "float32")
            ),
            "quantized_io": _litert(quantized_io=True),
            "compact": _litert(compact=1),
            "input_signature": _litert(
                input_signature=[keras.InputSpec(shape=(1, 8))] * 2
            ),
            "overwrite": _litert(overwrite="yes"),
        },
        free=("allow_select_tf_ops", "seed"),
    ),
    FunctionSetting(
        component="cost.summarize",
        call=lambda model, folder: str(cost.summarize(model)),
        bad={
            "model": lambda model, folder: cost.summarize(NOT_A_MODEL),
            "input_shape": lambda model, folder: cost.summarize(
                model, input_shape=((1, 8), (1, 8))
            ),
            "training": lambda model, folder: cost.summarize(model, training=1),
        },
    ),
    FunctionSetting(
        component="cost.matched_epochs",
        call=lambda model, folder: cost.matched_epochs(9, model, samples=2),
        bad={
            "spent": lambda model, folder: cost.matched_epochs(
                -1, model, samples=2
            ),
            "model": lambda model, folder: cost.matched_epochs(
                9, NOT_A_MODEL, samples=2
            ),
            "samples": lambda model, folder: cost.matched_epochs(
                9, model, samples=0
            ),
        },
    ),
    FunctionSetting(
        component="cost.measure_latency",
        call=lambda model, folder: _latency(x=zoo.data("mlp")[0])(
            model, folder
        ),
        bad={
            "models": _latency(models=3),
            "x": _latency(models=sum),
            "rounds": _latency(rounds=0),
            "warmup": _latency(warmup=-1),
        },
    ),
)
