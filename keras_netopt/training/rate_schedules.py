"""Keras' callbacks that set learning rates, in a `fit` of several rounds."""

from collections.abc import Sequence
from typing import Any

import keras


def restart_plateaus(callbacks: Sequence[Any]) -> None:
    """Lets every `ReduceLROnPlateau` forget the values that it has seen."""
    for one in callbacks:
        if isinstance(one, keras.callbacks.ReduceLROnPlateau):
            one.on_train_begin()


def find_uneven_schedules(callbacks: Sequence[Any], epochs: int) -> list[Any]:
    """Lists each `LearningRateScheduler` whose rates do not repeat.

    Args:
        callbacks: The callbacks of a `fit` call.
        epochs: Epochs after which the rates should repeat.

    Returns:
        The callbacks whose first two rounds have different rates.
    """
    return [
        one
        for one in callbacks
        if isinstance(one, keras.callbacks.LearningRateScheduler)
        and any(
            _rate(one.schedule, epoch) != _rate(one.schedule, epoch + epochs)
            for epoch in range(epochs)
        )
    ]


def _rate(schedule: Any, epoch: int) -> Any:
    """Calls a schedule as Keras does, with a learning rate of 1."""
    try:
        return schedule(epoch, 1.0)
    except TypeError:
        return schedule(epoch)
