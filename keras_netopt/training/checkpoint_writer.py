"""A `ModelCheckpoint` whose files are whole or absent.

Private names of Keras 3.15: `_get_file_path`, `_should_save_model` and
`_save_model`, which is overridden.
"""

import os
import sys
from typing import Any

import keras

from keras_netopt.files import is_local, write_aside
from keras_netopt.training.weights_file import check_room


class CheckpointWriter(keras.callbacks.ModelCheckpoint):
    """Writes beside the file, and replaces it when the new one is whole."""

    best: Any

    def _save_model(
        self, epoch: int, batch: int | None, logs: dict[str, Any] | None
    ) -> None:
        path = self._get_file_path(epoch, batch, logs)
        best = self.best
        if not self._should_save_model(epoch, batch, logs, path):
            return
        try:
            self._write(path)
        except BaseException:
            self.best = best  # What the file holds.
            raise
        if self.verbose > 0:
            text = f"\nEpoch {epoch + 1}: finished saving model to {path}\n"
            sys.stdout.write(text)

    def _write(self, path: str) -> None:
        folder = os.path.dirname(path)
        if folder and is_local(folder):
            os.makedirs(folder, exist_ok=True)
        model: Any = self.model
        save = model.save_weights if self.save_weights_only else model.save
        with write_aside(path) as partial:
            check_room(model, partial)
            save(partial)
