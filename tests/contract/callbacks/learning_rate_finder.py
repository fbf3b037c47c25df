"""Rows of the contract for LearningRateFinder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract import zoo
from contract.callback_setting import Case, Setting

from keras_netopt.callbacks import LearningRateFinder

COMPONENT = "callbacks.LearningRateFinder"

# A sweep from rates at which no model of the zoo learns in a few steps to
# rates at which each does: a tenth of the best rate is then in the sweep.
_SWEEP = {
    "min_learning_rate": 1e-3,
    "max_learning_rate": 0.5,
    "smoothing": 0.0,
}


def a_rate_was_found(before: Any, after: Any, callback: Any) -> bool:
    """The sweep has finished and the learning rate is restored."""
    rates = callback.history["learning_rate"]
    rate = keras.ops.convert_to_numpy(after.optimizer.learning_rate)
    return (
        len(rates) > 1
        and rates[0] == callback.min_learning_rate
        and callback.min_learning_rate
        <= callback.suggestion
        <= callback.max_learning_rate
        and float(rate) not in rates[1:]
    )


def _finder(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: LearningRateFinder(**{**_SWEEP, **changed})


def _nothing_to_find(folder: Path) -> tuple[keras.Model, list[Any]]:
    finder = LearningRateFinder(1e3, 1e4)  # The loss only rises.
    return zoo.compiled(eager=True), [finder]


SETTINGS = (
    Setting(
        name="LearningRateFinder",
        component=COMPONENT,
        arguments=lambda case: _SWEEP,
        effect=a_rate_was_found,
        reference=False,
        needs_callback=True,
        epochs=6,
    ),
)

IDLE = (_nothing_to_find, "Lower `min_learning_rate`")

BAD: dict[str, Callable[[Case], Any]] = {
    "min_learning_rate": _finder(min_learning_rate=0.0),
    "max_learning_rate": _finder(max_learning_rate=1e-3),
    "steps": _finder(steps=100),
    "smoothing": _finder(smoothing=1.0),
    "stop_factor": _finder(stop_factor=1.0),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "min_learning_rate": (_finder(), _finder(min_learning_rate=2e-3)),
    "max_learning_rate": (_finder(), _finder(max_learning_rate=0.4)),
    "steps": (_finder(), _finder(steps=6)),
    "smoothing": (_finder(), _finder(smoothing=0.5)),
    "stop_factor": (
        _finder(max_learning_rate=10.0),
        _finder(max_learning_rate=10.0, stop_factor=1.01),
    ),
}
