"""Rows of the contract for ComputeTracker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract.callback_setting import Case, Setting, idle_model

from keras_netopt.callbacks import ComputeTracker

COMPONENT = "callbacks.ComputeTracker"


def _nothing_to_count(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [ComputeTracker()]


SETTINGS = (
    Setting(
        name="ComputeTracker",
        component=COMPONENT,
        arguments=lambda case: {},
        effect=lambda before, after, callback: callback.spent() > 0,
        neutral=lambda case: {},
        reference=False,
    ),
)

IDLE = (_nothing_to_count, "`cost.summarize(model)`")

BAD: dict[str, Callable[[Case], Any]] = {}

CHANGES: dict[str, tuple[Any, ...]] = {}
