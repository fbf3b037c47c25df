"""Rows of the contract for SelectiveBackprop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract.callback_setting import Case, Setting, idle_model

from keras_netopt.callbacks import SelectiveBackprop

COMPONENT = "callbacks.SelectiveBackprop"


def some_were_dropped(before: Any, after: Any, callback: Any) -> bool:
    return callback.selected_steps > 0


def _selective(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: SelectiveBackprop(
        **{"keep": 0.5, "begin": 0.0, **changed}
    )


def _nothing_to_select(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [SelectiveBackprop(begin=1.0, end=1.0)]


SETTINGS = (
    Setting(
        name="SelectiveBackprop",
        component=COMPONENT,
        arguments=lambda case: {
            "keep": 0.5,
            "begin": 0.0,
            "end": 1.0,
            "interrupt": 0,
        },
        effect=some_were_dropped,
        reference=False,
        logs=("backward_share",),
        needs_callback=True,
        by_replica=True,
    ),
    Setting(
        name="SelectiveBackprop top",
        component=COMPONENT,
        arguments=lambda case: {"keep": 0.25, "select": "top"},
        effect=some_were_dropped,
        reference=False,
        logs=("backward_share",),
        needs_callback=True,
    ),
)

IDLE = (_nothing_to_select, "an earlier `begin`")

BAD: dict[str, Callable[[Case], Any]] = {
    "keep": _selective(keep=1.0),
    "select": _selective(select="best"),
    "begin": _selective(begin="soon"),
    "end": _selective(begin=0.5, end=0.2),
    "interrupt": _selective(interrupt=1),
    "seed": _selective(seed=-1),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "keep": (_selective(), _selective(keep=0.25)),
    "select": (_selective(), _selective(select="top")),
    "begin": (_selective(), _selective(begin=4)),
    "end": (_selective(), _selective(end=4)),
    "interrupt": (_selective(), _selective(interrupt=0)),
    "seed": (_selective(), _selective(seed=1)),
}
