"""Base of the callbacks that edit the model which `fit` trains."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_netopt.cost import MacCounter
from keras_netopt.surgery.edits import journal as journals
from keras_netopt.surgery.edits.report import EditReport, Size
from keras_netopt.training import CheckpointState, ResumableCallback
from keras_netopt.training.editing import editing
from keras_netopt.training.order import active_callbacks, find_ending_epoch

Edit = Callable[[keras.Model], EditReport]


class StructureCallback(ResumableCallback):
    """Base of callbacks that change shapes or the graph inside `fit`.

    Edits are made when an epoch begins, after every epoch-end callback has
    seen one and the same model, or between two batches. A subclass overrides
    `on_model_ready` (all that can be wrong is found there), `decide` (what the
    end of an epoch says about the next one) and `due` (the edits to make now).

    A resumed fit gets its shapes back by itself: the files of
    `BackupAndRestore` hold the edits, and they are redone before Keras loads
    the weights. The best weights that an `EarlyStopping` keeps are carried
    over to the new shapes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._decided: int | None = None
        self._size: Size | None = None
        self._mac_counter = MacCounter()
        self.history: list[dict[str, Any]] = []
        self.reports: list[EditReport] = []

    def spent(self) -> int:
        """Returns the training MACs spent so far; see `ComputeTracker`."""
        return self._mac_counter.spent

    def decide(self, epoch: int, logs: dict[str, Any]) -> None:
        """Takes note of the logs of an epoch; called once for each."""

    def due(self) -> Sequence[Edit]:
        """Returns the edits to make before the next batch."""
        return ()

    def is_due(self) -> bool:
        """Tells without touching the model whether `due` has anything."""
        return False

    def reset(self) -> None:
        """Resets what belongs to one model."""
        self._decided = None
        self._size = None
        self._mac_counter = MacCounter()
        self.history = []
        self.reports = []

    def set_model(self, model: Any) -> None:
        """Called by Keras; brings the model to the shapes of a backup."""
        super().set_model(model)
        callbacks = active_callbacks()
        self._choose_names(callbacks)
        for callback in callbacks:
            if isinstance(callback, keras.callbacks.BackupAndRestore):
                self._catch_up(model, callback)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras: edits that are due are made now."""
        super().on_epoch_begin(epoch, logs)
        if not self._attached:
            return
        self._mac_counter.begin_epoch(self.model)
        if self._size is None:
            self._size = Size.of(self.model)
        if self.is_due():
            self.edit(self.due())

    def before_edit(self, model: keras.Model) -> None:
        """Books what the model has cost so far, whoever changes it."""
        self._mac_counter.update(model)

    def after_edit(self, model: keras.Model) -> None:
        """Takes the new size, whoever has changed it."""
        self._mac_counter.measure(model)
        self._size = Size.of(model)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras before validation resets its metrics."""
        self._mac_counter.end_epoch(self.model)

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras: edits at a step are made before it."""
        if self._attached and self.is_due():
            self.edit(self.due())

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        self._mac_counter.end_epoch(self.model)
        self._decide(epoch, logs or {})
        super().on_epoch_end(epoch, logs)

    def edit(self, edits: Sequence[Edit]) -> list[EditReport]:
        """Makes edits with one refresh, and keeps their reports.

        Args:
            edits: Functions of the model that return their report.

        Returns:
            The reports.
        """
        model = self.model
        with editing(model) as record:
            reports = [edit(model) for edit in edits]
        for callback in active_callbacks():
            if getattr(callback, "best_weights", None) is not None:
                for change in record.changes:
                    callback.best_weights = change.map_weights(
                        callback.best_weights
                    )
        for report in reports:
            self.reports.append(report)
            self.history.append(
                {
                    "epoch": self._progress.epoch,
                    "step": self._progress.step,
                    **report.event,
                }
            )
        return reports

    def progress_logs(self) -> dict[str, float]:
        """Returns the size of the model as it trains now."""
        if self._size is None:
            return {}
        return {"params": self._size.params, "macs": self._size.macs}

    def get_state(self) -> dict[str, Any]:
        """Returns the edits made; a saved epoch end is decided first."""
        ending = find_ending_epoch()
        if ending is not None:
            self._decide(*ending)
        self._mac_counter.update(self.model)
        return {
            "history": self.history,
            "decided": self._decided,
            "spent": self._mac_counter.spent,
        }

    def on_resume(self, model: keras.Model) -> None:
        """Takes up the decisions of a resumed fit."""
        saved = self.loaded_state()
        if saved is not None:
            self.history = list(saved[0]["history"])
            self._decided = saved[0]["decided"]
            self._mac_counter = MacCounter(saved[0]["spent"])
            self.resume(saved[0])
        self._mac_counter.begin_epoch(model)

    def resume(self, facts: dict[str, Any]) -> None:
        """Takes up what `get_state` of a subclass has saved."""

    def _decide(self, epoch: int, logs: dict[str, Any]) -> None:
        if self._attached and self._decided != epoch:
            self._decided = epoch
            self.decide(epoch, logs)

    def _catch_up(self, model: keras.Model, backup: Any) -> None:
        path = os.path.join(os.fspath(backup.backup_dir), "latest.weights.h5")
        saved = _read(model, [path, f"{path}.bkp"])
        if saved is None:
            return
        own = saved.peek_values(self._state_name)
        if own is not None:
            self._check_settings(own.get("settings"))
        journal = saved.peek_values(journals.ENTRY)
        if journal is not None:
            journals.catch_up(model, journal)


def _read(model: keras.Model, paths: Sequence[str]) -> CheckpointState | None:
    """Reads the first file that is whole, as BackupAndRestore itself does."""
    for path in paths:
        if os.path.exists(path):
            saved = CheckpointState(model)
            try:
                saved.read(path)
            except OSError:
                continue  # Cut off while it was written.
            return saved
    return None
