"""Runs actions on a clone of a model, to find errors before an edit."""

import random
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.edits.edit_report import EditReport
from keras_netopt.surgery.growing.actions import Action


class DryRun:
    """A clone of a model on which actions are made in order.

    The random states of Python and NumPy are restored after each action.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._clone: keras.Model | None = None

    def apply(self, action: Action, **options: Any) -> EditReport:
        """Makes an action on the clone; `options` as in `Action.apply`."""
        states = random.getstate(), np.random.get_state()
        try:
            if self._clone is None:
                self._clone = keras.models.clone_model(self._model)
            return action.dry_run(self._model, self._clone, **options)
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
