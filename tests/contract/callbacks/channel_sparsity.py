"""Rows of the contract for ChannelSparsity."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract.callback_setting import GRAPHS, Case, Setting, idle_model

from keras_netopt.callbacks import ChannelSparsity

COMPONENT = "callbacks.ChannelSparsity"
# The zoo's layers are narrow.
SMALL = {
    "strength": 0.001,
    "regularizer": "group_lasso",
    "sparsity": 0.5,
    "min_channels": 1,
    "end": 0.5,
}


def fewer_channels(before: Any, after: Any, callback: Any) -> bool:
    fewer = after.count_params() < before.count_params()
    return bool(callback.report().widths and callback.is_complete and fewer)


def _channels(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: ChannelSparsity(**{**SMALL, **changed})


def _nothing_to_shrink(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [ChannelSparsity()]


SETTINGS = (
    Setting(
        name="ChannelSparsity",
        component=COMPONENT,
        arguments=lambda case: SMALL,
        effect=fewer_channels,
        neutral=lambda case: {**SMALL, "strength": 0.0, "sparsity": 0.0},
        reference=False,
        models=GRAPHS,
        epochs=4,
        needs_callback=True,
    ),
)

IDLE = (_nothing_to_shrink, "`include`")

BAD: dict[str, Callable[[Case], Any]] = {
    "strength": _channels(strength=-1),
    "regularizer": _channels(regularizer="l0"),
    "sparsity": _channels(sparsity=1.0),
    "end": _channels(end=1.5),
    "min_channels": _channels(min_channels=0),
    "include": _channels(include="no_such_layer"),
    "exclude": _channels(exclude="no_such_layer"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "strength": (_channels(strength=1e-4), _channels(strength=0.01)),
    "regularizer": (
        _channels(regularizer="group_lasso"),
        _channels(regularizer="bn_scale"),
        "cnn",
    ),
    "sparsity": (_channels(), _channels(sparsity=0.25)),
    "end": (_channels(), _channels(end="1ep")),
    "min_channels": (_channels(), _channels(min_channels=12)),
    "include": (
        _channels(),
        _channels(include=keras.layers.Dense),
        "transformer",
    ),
    "exclude": (
        _channels(exclude=None),
        _channels(exclude=keras.layers.Dense),
        "transformer",
    ),
}
