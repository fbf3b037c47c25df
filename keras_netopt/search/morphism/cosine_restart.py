"""The learning rate of one child: a cosine from its start to its end."""

import math
from typing import Any

import keras

from keras_netopt.training import sync_variables
from keras_netopt.training.learning_rates import find_learning_rate_variable
from keras_netopt.training.optimizers import innermost_optimizer

CHANGES = 20  # Per fit: each makes JAX read and write the training state.


class CosineRestart(keras.callbacks.Callback):
    """Lowers the learning rate along a cosine, in at most 20 steps.

    At the end the optimizer has the initial rate again.

    Args:
        epochs: Epochs of the fit.
        rate: Initial learning rate.
        final: Last learning rate as a share of the initial one.
    """

    def __init__(self, epochs: int, rate: float, final: float) -> None:
        super().__init__()
        self._epochs = epochs
        self._rate = rate
        self._final = final
        self._epoch = 0
        self._level = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self._epoch = epoch
        if not self.params.get("steps"):
            self._set((epoch + 0.5) / self._epochs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called by Keras."""
        steps = self.params.get("steps")
        if not steps:
            return
        done = (self._epoch + batch / steps) / self._epochs
        level = int(done * CHANGES)
        if level != self._level:
            self._level = level
            self._set((level + 0.5) / CHANGES)

    def on_train_end(self, logs: Any = None) -> None:
        """Called by Keras."""
        self._assign(self._rate)

    def _set(self, progress: float) -> None:
        share = 0.5 * (1 + math.cos(math.pi * progress))
        self._assign(self._rate * (self._final + (1 - self._final) * share))

    def _assign(self, rate: float) -> None:
        sync_variables(self.model)
        optimizer = innermost_optimizer(self.model.optimizer)
        variable = find_learning_rate_variable(optimizer)
        if variable is not None:
            variable.assign(rate)
