"""Rows of the contract for ParameterScheduler."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.callback_setting import Case, Setting

from keras_netopt.callbacks import ParameterScheduler
from keras_netopt.schedules import Linear
from keras_netopt.training import walk_layers

PIECE = "callbacks.ParameterScheduler"

_BIASES = {
    "attr": "bias",
    "schedule": {0: 0.0, "1ep": 0.25},
    "include": keras.layers.Dense,
}


def biases_are_set(before: Any, after: Any, callback: Any) -> bool:
    """What a step or two without the callback make of 0.25 still counts."""

    def far(model: keras.Model) -> float:
        found = [
            np.abs(keras.ops.convert_to_numpy(layer.bias) - 0.25).max()
            for layer in walk_layers(model)
            if isinstance(layer, keras.layers.Dense)
        ]
        return max(found)

    return far(before) == 0.25 and far(after) < 0.1


def _dial(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: ParameterScheduler(**{**_BIASES, **changed})


def _nothing_to_turn(folder: Path) -> tuple[keras.Model, list[Any]]:
    return zoo.compiled(eager=True), [ParameterScheduler("rate", 0.5)]


SETTINGS = (
    Setting(
        name="ParameterScheduler",
        piece=PIECE,
        arguments=lambda case: _BIASES,
        effect=biases_are_set,
        reference=False,
        logs=("scheduled_bias",),
    ),
)

IDLE = (_nothing_to_turn, "`include`")

BAD: dict[str, Callable[[Case], Any]] = {
    "attr": _dial(attr="no_such_weight"),
    "schedule": _dial(schedule="fast"),
    "include": _dial(include="no_such_layer"),
    "scale": _dial(scale="square"),
    "per": _dial(per="batch"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "attr": (_dial(), _dial(attr="kernel")),
    "schedule": (_dial(), _dial(schedule=0.5)),
    "include": (_dial(), _dial(include="out")),
    "scale": (_dial(), _dial(scale="linear")),
    "per": (
        _dial(schedule=Linear(final=1.0)),
        _dial(schedule=Linear(final=1.0), per="epoch"),
    ),
}
