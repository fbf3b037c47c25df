"""Settings of progressive networks."""

from typing import Any

import keras
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import progressive


def column(inputs: Any, width: float = 1.0) -> list[Any]:
    return [keras.layers.Dense(int(4 * width), "relu")(inputs)]


def small() -> keras.Model:
    layers = [keras.layers.Dense(4, "relu"), keras.layers.Dense(2)]
    return keras.Sequential([keras.Input((3,)), *layers])


def _network(**changed: Any) -> Call:
    def call(model: keras.Model, folder: Any) -> Any:
        arguments = {"column": column, "inputs": keras.Input((3,)), **changed}
        net = progressive.ProgressiveNetwork(**arguments)
        net.add_task(keras.layers.Dense(2))
        net.add_task(keras.layers.Dense(2))
        return net.summary().to_dict()

    return call


def _of_model(**changed: Any) -> Call:
    return _network(**{"column": small(), "inputs": None, **changed})


def _next(**changed: Any) -> Call:
    def call(model: keras.Model, folder: Any) -> Any:
        arguments = {"model": small(), "name": "second", **changed}
        return progressive.next_task(**arguments).count_params()

    return call


FUNCTIONS = (
    FunctionSetting(
        component="progressive.ProgressiveNetwork",
        call=_network(),
        bad={
            "column": _network(column="mlp"),
            "inputs": _network(inputs=3),
            "hidden": _of_model(hidden="no such layer"),
            "adapter": _network(adapter="deep"),
            "adapter_width": _network(adapter_width=0),
            "lateral": _network(lateral="next"),
            "alpha_init": _network(alpha_init="small"),
            "first_task": _of_model(first_task=""),
        },
        free=("probe",),
    ),
    FunctionSetting(
        component="progressive.next_task",
        call=_next(),
        bad={
            "model": _next(model=NOT_A_MODEL),
            "head": _next(head="dense"),
            "hidden": _next(hidden="no such layer"),
        },
        free=("settings",),
    ),
    FunctionSetting(
        component="progressive.find_network",
        call=lambda model, folder: progressive.find_network(model) is None,
        bad={
            "model": lambda model, folder: progressive.find_network(
                NOT_A_MODEL
            ),
        },
    ),
)
