"""The logs and the training compute of one fit."""

from typing import Any

import keras

from keras_netopt.cost import MacCounter
from keras_netopt.search.running.execution_log import to_float_logs
from keras_netopt.training import sync_variables


class EpochLog(keras.callbacks.Callback):
    """Keeps the logs of each epoch and counts the MACs of training."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[dict[str, float]] = []
        self._counter = MacCounter()

    @property
    def spent(self) -> int:
        """Multiply-accumulates of all epochs."""
        return self._counter.spent

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self._counter.begin_epoch(self.model)

    def on_test_begin(self, logs: Any = None) -> None:
        """Called by Keras before validation, which resets the count."""
        self._end_epoch()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self._end_epoch()
        self.epochs.append(to_float_logs(logs))

    def _end_epoch(self) -> None:
        sync_variables(self.model)
        self._counter.end_epoch(self.model)
