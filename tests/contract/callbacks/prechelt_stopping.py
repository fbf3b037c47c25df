"""Rows of the contract for PrecheltStopping."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract import zoo
from contract.callback_setting import Case, Setting
from contract.callbacks import compute_tracker

from keras_netopt.callbacks import PrecheltStopping

COMPONENT = "callbacks.PrecheltStopping"

# There is a number that rises in every fit: GL is 0, 100, 200, ... percent.
_RISING = {"rule": "GL", "threshold": 150, "monitor": "training_macs"}


def first_is_best(before: Any, after: Any, callback: Any) -> bool:
    """It stops at the third epoch, where a fit is that long."""
    end = 2 if callback.params["epochs"] > 2 else None
    return callback.best_epoch == 0 and callback.stopped_epoch == end


def _stopping(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: PrecheltStopping(**{**_RISING, **changed})


def _nothing_to_watch(folder: Path) -> tuple[keras.Model, list[Any]]:
    return zoo.compiled(eager=True), [PrecheltStopping()]


SETTINGS = (
    Setting(
        name="PrecheltStopping",
        component=COMPONENT,
        arguments=lambda case: _RISING,
        effect=first_is_best,
        beside=(*compute_tracker.SETTINGS,),
        neutral=lambda case: {**_RISING, "monitor": "loss"},
        reference=False,
        needs_callback=True,
        epochs=6,
    ),
)

IDLE = (_nothing_to_watch, "`validation_data`")

BAD: dict[str, Callable[[Case], Any]] = {
    "rule": _stopping(rule="best"),
    "threshold": _stopping(rule="UP", threshold=0),
    "strip": _stopping(rule="PQ", strip=1),
    "monitor": _stopping(monitor="val_accuracy"),
    "train_monitor": _stopping(train_monitor="accuracy"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "rule": (
        _stopping(threshold=2, strip=1),
        _stopping(threshold=2, strip=1, rule="UP"),
    ),
    "threshold": (_stopping(), _stopping(threshold=250)),
    "strip": (
        _stopping(rule="UP", threshold=1, strip=1),
        _stopping(rule="UP", threshold=1, strip=2),
    ),
    "monitor": (_stopping(), _stopping(monitor="loss")),
    "train_monitor": (
        _stopping(rule="PQ", strip=2, threshold=0.5),
        _stopping(
            rule="PQ",
            strip=2,
            threshold=0.5,
            train_monitor="training_macs",
        ),
    ),
}
