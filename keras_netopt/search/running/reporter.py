"""Tells the oracle of each epoch, and keeps the best weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_netopt.search.running.run_record import RunRecord, plain_logs

# Says whether to stop, given an epoch from 0 and its logs.
Report = Callable[[int, dict[str, float]], bool]


class Reporter(keras.callbacks.Callback):
    """Reports, records, keeps the best weights and stops the training.

    It stands behind the user's callbacks, whose logs it sees, and in front of
    the backup: what the backup holds has been recorded before.

    Args:
        record: Where the epochs are written.
        objective: KerasTuner's objective.
        report: Called once an epoch.
        weights: File of the weights that count.
        keeps_best: Whether those of the best epoch count, else those of the
            last one. Defaults to `True`.
        last_weights: File of the last weights and the optimizer's state, or
            `None`.
        strict: Whether an epoch without the objective is an error.
    """

    def __init__(
        self,
        record: RunRecord,
        objective: Any,
        report: Report,
        weights: Path,
        *,
        keeps_best: bool = True,
        last_weights: Path | None = None,
        strict: bool = True,
    ) -> None:
        super().__init__()
        self.record = record
        self.objective = objective
        self.report = report
        self.weights = weights
        self.keeps_best = keeps_best
        self.last_weights = last_weights
        self.strict = strict
        self.is_stopped = False
        self._has_begun = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras; the first epoch tells where a backup goes on."""
        if self._has_begun:
            return
        self._has_begun = True
        self.record.cut(epoch)
        for earlier, known in sorted(self.record.epochs.items()):
            if self.objective.has_value(known):
                self.report(earlier, known)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        found = plain_logs(logs)
        if not self.objective.has_value(found):
            if self.strict:
                raise missing_objective(self.objective, found)
            self.record.add(epoch, found)
            self.model.save_weights(self.weights)
            return
        is_better = (
            not self.keeps_best
            or not self._known()
            or self.objective.better_than(
                self.objective.get_value(found), self._best()
            )
        )
        if is_better:
            self.model.save_weights(self.weights)
        self.record.add(epoch, found)
        if self.report(epoch, found):
            self.is_stopped = True
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        """Called by Keras."""
        if self.last_weights is not None:
            self.model.save_weights(self.last_weights)

    def _known(self) -> list[float]:
        return [
            self.objective.get_value(logs)
            for logs in self.record.epochs.values()
            if self.objective.has_value(logs)
        ]

    def _best(self) -> float:
        values = self._known()
        return max(values) if self.objective.direction == "max" else min(values)


def missing_objective(objective: Any, logs: dict[str, float]) -> Exception:
    """Returns the error for an objective that training does not report.

    Args:
        objective: KerasTuner's objective.
        logs: What was reported.
    """
    from keras_tuner.errors import FatalValueError

    hint = ""
    if str(objective.name).startswith("val_") and not any(
        name.startswith("val_") for name in logs
    ):
        hint = " Pass `validation_data` or `validation_split` to `search`."
    return FatalValueError(
        "Argument `objective` must name what training reports, one of "
        f"{sorted(logs)}. Received: objective={objective.name!r}.{hint}"
    )
