"""Tries edits on a copy before anything happens to the model."""

import random
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.edits.report import EditReport
from keras_netopt.surgery.growing.actions import Action


class DryRun:
    """A clone of a model on which actions are tried one after the other.

    Nobody's random numbers are used up by it.

    Args:
        model: The model, which stays as it is.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._copy: keras.Model | None = None

    def make(self, action: Action, **options: Any) -> EditReport:
        """Makes an action on the clone.

        Args:
            action: The action.
            **options: As for `Action.apply`.

        Returns:
            The report.

        Raises:
            ValueError: If the action can't be made.
        """
        state, other = random.getstate(), np.random.get_state()
        try:
            if self._copy is None:
                self._copy = keras.models.clone_model(self._model)
            return action.rehearse(self._model, self._copy, **options)
        finally:
            random.setstate(state)
            np.random.set_state(other)


def decays(optimizer: Any, last: int) -> bool:
    """Says whether a learning rate schedule falls before some step.

    Args:
        optimizer: The optimizer, or `None`.
        last: The step.

    Returns:
        Whether it does; `False` where there is no schedule.
    """
    if optimizer is None:
        return False
    config = optimizer.get_config().get("learning_rate")
    if not isinstance(config, dict):
        return False
    schedule = keras.optimizers.schedules.deserialize(config)
    rates = [
        float(keras.ops.convert_to_numpy(schedule(step)))
        for step in np.linspace(0, last, 20).astype(int).tolist()
    ]
    return any(b < 0.99 * a for a, b in zip(rates, rates[1:], strict=False))
