"""Rows of the contract for CostLedger."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract.callback_setting import Case, Setting, idle_model

from keras_netopt.callbacks import CostLedger

PIECE = "callbacks.CostLedger"


def _nothing_to_count(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [CostLedger()]


SETTINGS = (
    Setting(
        name="CostLedger",
        piece=PIECE,
        arguments=lambda case: {},
        effect=lambda before, after, callback: callback.spent() > 0,
        neutral=lambda case: {},
        reference=False,
        logs=("training_macs",),
    ),
)

IDLE = (_nothing_to_count, "`cost.summarize(model)`")

BAD: dict[str, Callable[[Case], Any]] = {}

CHANGES: dict[str, tuple[Any, ...]] = {}
