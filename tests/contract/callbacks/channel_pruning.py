"""Rows of the contract for ChannelPruning."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.callback_setting import GRAPHS, Case, Setting, idle_model

import keras_netopt as netopt
from keras_netopt.callbacks import ChannelPruning

COMPONENT = "callbacks.ChannelPruning"

SMALL = {"round_to": 2, "min_channels": 1}  # The zoo's layers are narrow.


def fewer_channels(before: Any, after: Any, callback: Any) -> bool:
    report = callback.report()
    half = all(row.after * 2 == row.before for row in report.widths)
    return (
        half
        and callback.is_complete
        and after.count_params() < before.count_params()
    )


def _channels(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: ChannelPruning(**{"ratio": 0.5, **SMALL, **changed})


def _labelled(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: ChannelPruning(
        0.5, **{**SMALL, "data": (case.x, zoo.data("mlp")[1]), **changed}
    )


@keras.saving.register_keras_serializable("contract")
def hidden_units(model: keras.Model) -> float:
    return float(model.layers[0].units)


def _nothing_to_cut(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [ChannelPruning(0.5)]


SETTINGS = (
    Setting(
        name="ChannelPruning",
        component=COMPONENT,
        arguments=lambda case: {"ratio": 0.5, **SMALL},
        effect=fewer_channels,
        neutral=lambda case: {"ratio": 0.0},
        twin=lambda model, case: netopt.surgery.prune_channels(
            model, 0.5, **SMALL
        ),
        first_event={"ratio": netopt.schedules.Constant(0.5)},
        reference=False,
        logs=("params", "macs", "channels"),
        models=GRAPHS,
        epochs=5,
        needs_callback=True,
    ),
)

IDLE = (_nothing_to_cut, "`include`")

BAD: dict[str, Callable[[Case], Any]] = {
    "ratio": _channels(ratio=1.0),
    "score": _channels(score="best"),
    "target": _channels(target="speed"),
    "allocation": _channels(allocation="fair"),
    "steps": _channels(steps=0),
    "round_to": _channels(round_to=0),
    "min_channels": _channels(min_channels=0),
    "include": _channels(include="no_such_layer"),
    "exclude": _channels(exclude="no_such_layer"),
    "data": _channels(score="taylor", data=None),
    "recalibrate": _channels(recalibrate="yes"),
    "meter": _channels(target="latency", meter=3),
    "allow_inexact": _channels(allow_inexact=1),
    "seed": _channels(score="random", seed="one"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "ratio": (_channels(), _channels(ratio=0.25)),
    "score": (_channels(), _channels(score="random")),
    "target": (_channels(), _channels(target="params")),
    "allocation": (
        _channels(),
        _channels(allocation="global"),
        "transformer",
    ),
    "steps": (_channels(), _channels(steps=1)),
    "round_to": (_channels(), _channels(round_to=16)),
    "min_channels": (_channels(), _channels(min_channels=12)),
    "include": (
        _channels(),
        _channels(include=keras.layers.Dense),
        "transformer",
    ),
    "exclude": (
        _channels(exclude=None),
        _channels(exclude=keras.layers.Dense),
    ),
    "data": (
        _labelled(score="taylor"),
        lambda case: ChannelPruning(
            0.5,
            **SMALL,
            score="taylor",
            data=(case.x[:, ::-1] * np.arange(8), zoo.data("mlp")[1]),
        ),
    ),
    "recalibrate": (_labelled(), _labelled(recalibrate=True), "cnn"),
    "meter": (
        _channels(target="latency", meter=None),
        _channels(target="latency", meter=hidden_units),
    ),
    "allow_inexact": (
        _channels(),
        _channels(allow_inexact=True),
        "transformer",
    ),
    "seed": (
        _channels(score="random"),
        _channels(score="random", seed=1),
    ),
}
