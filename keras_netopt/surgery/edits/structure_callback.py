"""Base class of callbacks that edit the model inside `fit`."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras

from keras_netopt.cost import MacCounter
from keras_netopt.graph.symbolic import assume_input_shape, input_specs
from keras_netopt.surgery.edits.edit_history import (
    STATE_NAME,
    apply_missing_edits,
)
from keras_netopt.surgery.edits.edit_report import EditReport, ModelSize
from keras_netopt.training import CheckpointState, ResumableCallback
from keras_netopt.training.editing import editing
from keras_netopt.training.order import active_callbacks
from keras_netopt.training.seen_shape import (
    build_at_seen_shape,
    find_seen_shape,
)

Edit = Callable[[keras.Model], EditReport]


class StructureCallback(ResumableCallback):
    """Base class of callbacks that change shapes or the graph inside `fit`.

    Edits are made at the start of an epoch, after the epoch-end hooks of all
    callbacks, or between two batches. A subclass overrides `on_model_ready`
    (checks that need the model), `plan_edits` (called after each epoch),
    `has_due_edits` and `due_edits` (the edits to make now).

    A resumed fit restores the shapes first: the files of `BackupAndRestore`
    hold the edits, which are repeated before Keras loads the weights. The best
    weights that an `EarlyStopping` keeps are carried over to the new shapes.
    """

    log_keys = {
        "params": "number of parameters of the model",
        "macs": "multiply-accumulates of a forward pass of one sample",
    }

    input_shape: Any = None

    def __init__(self) -> None:
        super().__init__()
        self._seen_shape: Any = None
        self._planned_epoch: int | None = None
        self._size: ModelSize | None = None
        self._mac_counter = MacCounter()
        self.history: list[dict[str, Any]] = []
        self.reports: list[EditReport] = []

    def spent(self) -> int:
        """Returns the training MACs so far; see `ComputeTracker`."""
        return self._mac_counter.spent

    def plan_edits(self, epoch: int, logs: dict[str, Any]) -> None:
        """Plans edits from the logs of an epoch; called once per epoch."""

    def has_due_edits(self) -> bool:
        """Returns whether edits are due, without access to the model."""
        return False

    def due_edits(self) -> Sequence[Edit]:
        """Returns the edits to make before the next batch."""
        return ()

    def reset(self) -> None:
        """Resets what belongs to one model."""
        self._planned_epoch = None
        self._size = None
        self._mac_counter = MacCounter()
        self.history = []
        self.reports = []

    def set_model(self, model: Any) -> None:
        """Called by Keras; restores the shapes of a backup."""
        super().set_model(model)
        # The state of this callback in the backup that is restored.
        self._backup: dict[str, Any] = {}
        callbacks = active_callbacks()
        self._choose_names(callbacks)
        for callback in callbacks:
            if isinstance(callback, keras.callbacks.BackupAndRestore):
                self._restore_shapes(model, callback)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras; reads the sizes of the free axes of the inputs."""
        build_at_seen_shape(self._model)
        if self.input_shape is not None and self._model.built:
            input_specs(self._model, input_shape=self.input_shape)
        self._seen_shape = self.input_shape or find_seen_shape(self._model)
        with self._at_seen_shape():
            super().on_train_begin(logs)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; makes the edits that are due."""
        with self._at_seen_shape():
            super().on_epoch_begin(epoch, logs)
            if not self._attached:
                return
            self._mac_counter.begin_epoch(self.model)
            if self._size is None:
                self._size = ModelSize.of(self.model)
            if self.has_due_edits():
                self.apply_edits(self.due_edits())

    def before_edit(self, model: keras.Model) -> None:
        """Counts the MACs so far, before any edit of the model."""
        self._mac_counter.update(model)

    def after_edit(self, model: keras.Model) -> None:
        """Measures the new size, after any edit of the model."""
        with self._at_seen_shape():
            self._mac_counter.measure(model)
            self._size = ModelSize.of(model)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras before validation resets its metrics."""
        self._mac_counter.end_epoch(self.model)

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; makes the edits that are due at this step.

        Where it does not know the number of batches, Keras begins one more.
        """
        if self._progress.is_past_epoch:
            return
        if self._attached and self.has_due_edits():
            with self._at_seen_shape():
                self.apply_edits(self.due_edits())

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        self._mac_counter.end_epoch(self.model)
        self._plan_once(epoch, logs or {})
        super().on_epoch_end(epoch, logs)

    def apply_edits(self, edits: Sequence[Edit]) -> list[EditReport]:
        """Makes edits with one recompilation and stores their reports."""
        model = self.model
        with editing(model) as changes:
            reports = [edit(model) for edit in edits]
        for callback in active_callbacks():
            if getattr(callback, "best_weights", None) is not None:
                for change in changes:
                    callback.best_weights = change.map_weights(
                        callback.best_weights
                    )
        for report in reports:
            self.reports.append(report)
            self.history.append(
                {
                    "epoch": self._progress.epoch,
                    "step": self._progress.step,
                    **report.edit,
                }
            )
        return reports

    def progress_logs(self) -> dict[str, float]:
        """Returns the current size of the model."""
        if self._size is None:
            return {}
        return {"params": self._size.params, "macs": self._size.macs}

    def complete_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        """Plans the edits of an epoch before an earlier callback saves it."""
        self._plan_once(epoch, logs)

    def get_state(self) -> dict[str, Any]:
        """Returns the edits so far and the MACs that were spent."""
        self._mac_counter.update(self.model)
        return {
            "history": self.history,
            "planned_epoch": self._planned_epoch,
            "spent": self._mac_counter.spent,
        }

    def on_resume(self, model: keras.Model) -> None:
        """Restores the state of a resumed fit."""
        saved = self.loaded_state()
        if saved is not None:
            self.history = list(saved[0]["history"])
            self._planned_epoch = saved[0]["planned_epoch"]
            self._mac_counter = MacCounter(saved[0]["spent"])
            self.set_state(saved[0])
        self._mac_counter.begin_epoch(model)

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores the state that `get_state` of a subclass returned."""

    def _at_seen_shape(self) -> AbstractContextManager[None]:
        """Opens a context that counts MACs at the shape of the data."""
        return assume_input_shape(self._model, self._seen_shape)

    def _plan_once(self, epoch: int, logs: dict[str, Any]) -> None:
        if self._attached and self._planned_epoch != epoch:
            self._planned_epoch = epoch
            self.plan_edits(epoch, logs)

    def _restore_shapes(self, model: keras.Model, backup: Any) -> None:
        path = os.path.join(os.fspath(backup.backup_dir), "latest.weights.h5")
        saved = _read(model, [path, f"{path}.bkp"])
        if saved is None:
            return
        own = saved.peek_values(self._state_name)
        self._backup = own or {}
        if own is not None:
            self._check_settings(own.get("settings"))
        saved_edits = saved.peek_values(STATE_NAME)
        if saved_edits is not None:
            apply_missing_edits(model, saved_edits)


def _read(model: keras.Model, paths: Sequence[str]) -> CheckpointState | None:
    """Reads the first complete file, as `BackupAndRestore` does."""
    for path in paths:
        if os.path.exists(path):
            saved = CheckpointState(model)
            try:
                saved.read(path)
            except ValueError:
                continue  # Incomplete: the writing process was interrupted.
            return saved
    return None
