"""A callback that measures the steps of a `fit` call.

Private name of Keras 3.15: `CallbackList._flush_futures`.
"""

import itertools
import statistics
import sys
import time
from typing import Any

import keras


class Clock(keras.callbacks.Callback):
    """Takes the CPU time of the process between the beginnings of batches.

    What a `fit` call costs once is not part of it. At each reading it waits
    for what runs in the background: steps of JAX, and the threads in which
    Keras reads the logs of batches. It has no hook at the end of batches, so
    Keras may run ahead of it.

    Args:
        first: Number of the batch with which the measurement begins.
        last: Number of the batch with which it ends.
        every: Steps between two readings.
    """

    def __init__(self, first: int, last: int, every: int) -> None:
        super().__init__()
        self._batches = range(first, last + 1, every)
        self._every = every
        self._times: list[float] = []

    @property
    def step(self) -> float:
        """CPU seconds of a step: the lower quartile between the readings."""
        spent = [b - a for a, b in itertools.pairwise(self._times)]
        return statistics.quantiles(spent, n=4)[0] / self._every

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self._times.clear()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called by Keras."""
        if batch in self._batches:
            _wait(self._model)
            self._times.append(time.process_time())


def _wait(model: Any) -> None:
    container = sys._getframe(2).f_locals.get("self")
    if isinstance(container, keras.callbacks.CallbackList):
        container._flush_futures()  # type: ignore[attr-defined]
    if keras.backend.backend() == "jax":
        import jax

        # `self.model` would move the state into the variables.
        jax.block_until_ready(model._jax_state)
