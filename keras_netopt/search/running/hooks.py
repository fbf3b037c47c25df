"""Calls the hooks of a tuner that somebody has overridden."""

from typing import Any

import keras
import keras_tuner


class Hooks(keras.callbacks.Callback):
    """Calls `Tuner.on_epoch_end` and its like from inside `fit`.

    Hooks that nobody overrides are not called: one that is called for each
    batch makes JAX wait for it.

    Args:
        tuner: The tuner.
        trial: The trial that trains.
    """

    def __init__(self, tuner: Any, trial: Any) -> None:
        super().__init__()

        def hook(name: str) -> Any:
            own = getattr(type(tuner), name)
            if own is getattr(keras_tuner.Tuner, name):
                return None
            return lambda at, logs=None: getattr(tuner, name)(
                trial, self.model, at, logs
            )

        for name, mine in (
            ("on_epoch_begin", "on_epoch_begin"),
            ("on_epoch_end", "on_epoch_end"),
            ("on_batch_begin", "on_train_batch_begin"),
            ("on_batch_end", "on_train_batch_end"),
        ):
            if call := hook(name):
                setattr(self, mine, call)
