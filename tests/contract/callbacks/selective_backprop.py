"""Settings of `SelectiveBackprop` for the contract tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract.callback_setting import Case, Setting, idle_model

from keras_netopt.callbacks import SelectiveBackprop

COMPONENT = "callbacks.SelectiveBackprop"


def steps_were_selected(before: Any, after: Any, callback: Any) -> bool:
    return callback.selected_steps > 0


def _selective(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: SelectiveBackprop(
        **{"keep_fraction": 0.5, "begin": 0.0, **changed}
    )


def _no_step_selects(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [SelectiveBackprop(begin=1.0, end=1.0)]


SETTINGS = (
    Setting(
        name="SelectiveBackprop",
        component=COMPONENT,
        arguments=lambda case: {
            "keep_fraction": 0.5,
            "begin": 0.0,
            "end": 1.0,
            "interrupt": 0,
        },
        effect=steps_were_selected,
        reference=False,
        needs_callback=True,
    ),
    Setting(
        name="SelectiveBackprop top",
        component=COMPONENT,
        arguments=lambda case: {
            "keep_fraction": 0.25,
            "method": "top",
        },
        effect=steps_were_selected,
        reference=False,
        needs_callback=True,
    ),
)

IDLE = (_no_step_selects, "an earlier `begin`")

BAD: dict[str, Callable[[Case], Any]] = {
    "keep_fraction": _selective(keep_fraction=1.0),
    "method": _selective(method="best"),
    "begin": _selective(begin="soon"),
    "end": _selective(begin=0.5, end=0.2),
    "interrupt": _selective(interrupt=1),
    "seed": _selective(seed=-1),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "keep_fraction": (_selective(), _selective(keep_fraction=0.25)),
    "method": (_selective(), _selective(method="top")),
    "begin": (_selective(), _selective(begin=4)),
    "end": (_selective(), _selective(end=4)),
    "interrupt": (_selective(), _selective(interrupt=0)),
    "seed": (_selective(), _selective(seed=1)),
}
