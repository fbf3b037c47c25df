"""Settings of the functions around progressive networks."""

from typing import Any

import keras
import numpy as np
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import progressive
from keras_netopt.training.randomness import preserve_random_state

TABLE = [[0.9, 0.2], [0.7, 0.8]]


def _score(**changed: Any) -> Call:
    arguments = {"history": [0.5, 0.7], "baseline": [0.4, 0.6], **changed}
    return lambda model, folder: progressive.transfer_score(**arguments)


def _metrics(**changed: Any) -> Call:
    arguments = {"accuracies": TABLE, **changed}
    return lambda model, folder: progressive.continual_metrics(**arguments)


def _task() -> keras.Model:
    with preserve_random_state():
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(n, "relu") for n in (12, 8)]
        first = keras.Sequential(
            [keras.Input((4,)), *layers, keras.layers.Dense(1)]
        )
        return progressive.next_task(first)


def _prune(**changed: Any) -> Call:
    def call(model, folder):
        arguments = {"model": _task(), "x": np.ones((3, 4)), **changed}
        return progressive.prune_adapters(**arguments).removed_params

    return call


def _export(**changed: Any) -> Call:
    arguments = {"model": None, **changed}

    def call(model, folder):
        given = {**arguments, "model": arguments["model"] or _task()}
        return progressive.export_task(**given).count_params()

    return call


def _cache(**changed: Any) -> Call:
    def call(model, folder):
        arguments = {"model": _task(), "x": np.ones((3, 4)), **changed}
        return progressive.cache_features(**arguments).nbytes

    return call


FUNCTIONS = (
    FunctionSetting(
        component="progressive.export_task",
        call=_export(),
        bad={
            "model": _export(model=NOT_A_MODEL),
            "x": _export(x=np.ones((0, 4))),
        },
    ),
    FunctionSetting(
        component="progressive.cache_features",
        call=_cache(),
        bad={
            "model": _cache(model=NOT_A_MODEL),
            "x": _cache(x=[np.ones((3, 4))]),
            "batch_size": _cache(batch_size=0),
        },
    ),
    FunctionSetting(
        component="progressive.prune_adapters",
        call=_prune(),
        bad={
            "model": _prune(model=NOT_A_MODEL),
            "x": _prune(x=np.ones((0, 4))),
            "threshold": _prune(threshold=-1.0),
            "score": _prune(score="taylor"),
        },
    ),
    FunctionSetting(
        component="progressive.transfer_score",
        call=_score(),
        bad={
            "history": _score(history="history"),
            "baseline": _score(baseline=[0.0, 0.0]),
            "monitor": _score(history={"loss": [0.5, 0.7]}, monitor="accuracy"),
            "mode": _score(mode="best"),
            "steps": _score(steps=[2, 1]),
            "floor": _score(floor="low"),
        },
    ),
    FunctionSetting(
        component="progressive.continual_metrics",
        call=_metrics(),
        bad={
            "accuracies": _metrics(accuracies=np.ones((2, 3))),
            "tasks": _metrics(tasks=["only one"]),
            "baseline": _metrics(baseline=[0.1]),
        },
    ),
)
