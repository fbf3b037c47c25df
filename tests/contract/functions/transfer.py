"""Settings of the functions that measure transfer between tasks."""

from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import progressive


def _measure(**changed: Any) -> Call:
    x, y = zoo.data("mlp", samples=16)

    def call(model, folder):
        arguments = {
            "source": zoo.compiled(eager=True, metrics=None),
            "head": None,
            "x": x,
            "y": y,
            "validation_data": (x, y),
            "epochs": 1,
            "seeds": 1,
            "arms": ("scratch", "progressive"),
            **changed,
        }
        return progressive.measure_transfer(**arguments)

    return call


def _matrix(**changed: Any) -> Call:
    x, y = zoo.data("mlp", samples=8)
    task = progressive.TaskData(keras.layers.Dense(3), x, y, (x, y))

    def call(model, folder):
        hidden = keras.Sequential(
            [keras.Input((8,)), *(keras.layers.Dense(3) for _ in range(2))]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        hidden.compile("sgd", loss, run_eagerly=True)
        arguments = {
            "column": hidden,
            "tasks": {"a": task, "b": task},
            "epochs": 1,
            "seeds": 1,
            **changed,
        }
        return progressive.transfer_matrix(**arguments)

    return call


def _sensitivity(**changed: Any) -> Call:
    x, y = zoo.data("mlp", samples=8)

    def call(model, folder):
        first = zoo.compiled(eager=True)
        task = progressive.next_task(first, adapter_width=1)
        arguments = {"model": task, "x": x, "method": "fisher", **changed}
        return progressive.sensitivity(**arguments)

    return call


FUNCTIONS = (
    FunctionSetting(
        component="progressive.measure_transfer",
        call=_measure(),
        is_pruned=False,
        bad={
            "source": _measure(source=3),
            "head": _measure(head=3),
            "x": _measure(x=3),
            "y": _measure(y=np.zeros(3)),
            "validation_data": _measure(validation_data=None),
            "epochs": _measure(epochs=0),
            "batch_size": _measure(batch_size=0),
            "optimizer": _measure(optimizer="adam"),
            "loss": _measure(source=zoo.build("mlp")),
            "metrics": _measure(metrics=["accuracy"]),
            "seeds": _measure(seeds=0),
            "arms": _measure(arms=("scratch", "wide")),
            "monitor": _measure(monitor="beauty_loss"),
            "mode": _measure(mode="best"),
            "floor": _measure(floor="low"),
            "verbose": _measure(verbose="loud"),
        },
    ),
    FunctionSetting(
        component="progressive.transfer_matrix",
        call=_matrix(),
        is_pruned=False,
        bad={
            "column": _matrix(column=3),
            "inputs": _matrix(inputs=keras.Input((8,))),
            "tasks": _matrix(tasks={"a": 3}),
            "epochs": _matrix(epochs=0),
            "batch_size": _matrix(batch_size=0),
            "optimizer": _matrix(optimizer="adam"),
            "loss": _matrix(column=zoo.build("mlp")),
            "metrics": _matrix(metrics=["accuracy"]),
            "seeds": _matrix(seeds=[1, 1]),
            "monitor": _matrix(monitor="beauty_loss"),
            "mode": _matrix(mode="best"),
            "floor": _matrix(floor="low"),
            "verbose": _matrix(verbose="loud"),
        },
        free=("settings",),
    ),
    FunctionSetting(
        component="progressive.sensitivity",
        call=_sensitivity(),
        is_pruned=False,
        bad={
            "model": _sensitivity(model=NOT_A_MODEL),
            "x": _sensitivity(x=3),
            "y": _sensitivity(method="perturbation"),
            "method": _sensitivity(method="gradient"),
            "samples": _sensitivity(samples=1),
            "draws": _sensitivity(draws=0),
            "performance": _sensitivity(performance="accuracy"),
            "seed": _sensitivity(seed=-1),
        },
    ),
)
