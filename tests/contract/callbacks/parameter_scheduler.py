"""Contract settings of ParameterScheduler."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.callback_setting import Case, Setting

from keras_netopt.callbacks import ParameterScheduler
from keras_netopt.graph.layers import walk_layers
from keras_netopt.schedules import Linear

COMPONENT = "callbacks.ParameterScheduler"

_BIASES = {
    "attribute": "bias",
    "schedule": {0: 0.0, "1ep": 0.25},
    "include": keras.layers.Dense,
}


def biases_are_set(before: Any, after: Any, callback: Any) -> bool:
    """Steps without the callback may move the bias by up to 0.1."""

    def distance(model: keras.Model) -> float:
        found = [
            np.abs(keras.ops.convert_to_numpy(layer.bias) - 0.25).max()
            for layer in walk_layers(model)
            if isinstance(layer, keras.layers.Dense)
        ]
        return max(found)

    return distance(before) == 0.25 and distance(after) < 0.1


def _scheduler(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: ParameterScheduler(**{**_BIASES, **changed})


def _no_scheduled_variable(folder: Path) -> tuple[keras.Model, list[Any]]:
    return zoo.compiled(eager=True), [ParameterScheduler("rate", 0.5)]


SETTINGS = (
    Setting(
        name="ParameterScheduler",
        component=COMPONENT,
        arguments=lambda case: _BIASES,
        effect=biases_are_set,
        reference=False,
    ),
)

IDLE = (_no_scheduled_variable, "`include`")

BAD: dict[str, Callable[[Case], Any]] = {
    "attribute": _scheduler(attribute="no_such_weight"),
    "schedule": _scheduler(schedule="fast"),
    "include": _scheduler(include="no_such_layer"),
    "scale": _scheduler(scale="square"),
    "per": _scheduler(per="batch"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "attribute": (_scheduler(), _scheduler(attribute="kernel")),
    "schedule": (_scheduler(), _scheduler(schedule=0.5)),
    "include": (_scheduler(), _scheduler(include="out")),
    "scale": (_scheduler(), _scheduler(scale="linear")),
    "per": (
        _scheduler(schedule=Linear(final=1.0)),
        _scheduler(schedule=Linear(final=1.0), per="epoch"),
    ),
}
