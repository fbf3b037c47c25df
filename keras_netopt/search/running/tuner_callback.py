"""Calls the hooks that a subclass of a tuner overrides."""

from typing import Any

import keras

HOOKS = {
    "on_epoch_begin": "on_epoch_begin",
    "on_epoch_end": "on_epoch_end",
    "on_batch_begin": "on_train_batch_begin",
    "on_batch_end": "on_train_batch_end",
}


class TunerCallback(keras.callbacks.Callback):
    """Calls `Tuner.on_epoch_end` and the other hooks during `fit`.

    Hooks that are those of the class `base` are not called: with a batch hook
    JAX waits for the end of each batch.
    """

    def __init__(self, tuner: Any, trial: Any, base: type) -> None:
        super().__init__()
        for name, method in HOOKS.items():
            if getattr(type(tuner), name) is not getattr(base, name):
                setattr(self, method, self._hook(getattr(tuner, name), trial))

    def _hook(self, function: Any, trial: Any) -> Any:
        return lambda at, logs=None: function(trial, self.model, at, logs)
