"""Settings of Progress & Compress."""

from typing import Any

import keras
from contract.function_setting import Call, FunctionSetting
from contract.functions.progressive_columns import column, small

from keras_netopt import progressive


def _compress(**changed: Any) -> Call:
    def call(model: keras.Model, folder: Any) -> Any:
        arguments = {"column": column, "inputs": keras.Input((3,)), **changed}
        pc = progressive.ProgressCompress(**arguments)
        pc.add_task(keras.layers.Dense(2))
        return pc.count_params()

    return call


def _of_model(**changed: Any) -> Call:
    return _compress(**{"column": small(), "inputs": None, **changed})


FUNCTIONS = (
    FunctionSetting(
        component="progressive.ProgressCompress",
        call=_compress(),
        bad={
            "column": _compress(column="mlp"),
            "inputs": _compress(inputs=3),
            "hidden": _of_model(hidden="no such layer"),
            "adapter": _compress(adapter="deep"),
            "adapter_width": _compress(adapter_width=0),
            "alpha_init": _compress(alpha_init="small"),
            "strength": _compress(strength=-1.0),
            "gamma": _compress(gamma=1.5),
            "fisher_samples": _compress(fisher_samples=0),
            "temperature": _compress(temperature=0.0),
            "reset": _compress(reset="yes"),
            "seed": _compress(seed=-1),
        },
    ),
)
