"""The callback that reports each epoch to the oracle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_netopt.search.constraints import COSTS
from keras_netopt.search.running.execution_log import (
    ExecutionLog,
    to_float_logs,
)
from keras_netopt.training.weights_file import save_weights

# Whether to stop, given an epoch from 0 and its logs.
ReportFunction = Callable[[int, dict[str, float]], bool]


class EpochReporter(keras.callbacks.Callback):
    """Reports and logs each epoch, saves weights and stops the training.

    Its place is after the user's callbacks, whose logs it reads, and before
    `BackupAndRestore`, so that every epoch in the backup has been logged.
    The file `weights` holds the best epoch, or the last one unless
    `keeps_best`, of those with the objective, if any has it. An epoch without
    it is not reported; if `is_due` is true of its number, counted from 1, it
    is an error.
    `keep` is called before anything is written; it raises an error if the
    project folder is another search's by now.
    """

    def __init__(
        self,
        log: ExecutionLog,
        objective: Any,
        report: ReportFunction,
        weights: Path,
        *,
        keeps_best: bool = True,
        is_due: Callable[[int], bool] | None = None,
        keep: Callable[[], Any] | None = None,
    ) -> None:
        super().__init__()
        self.log = log
        self.objective = objective
        self.report = report
        self.weights = weights
        self.keeps_best = keeps_best
        self.is_due = is_due
        self.keep = keep
        self.is_stopped = False
        self._has_begun = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras; reports the epochs before the restored backup."""
        if self._has_begun:
            return
        self._has_begun = True
        self.log.truncate(epoch)
        for earlier, known in sorted(self.log.epochs.items()):
            if self.objective.has_value(known):
                self.report(earlier, known)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        if self.keep is not None:
            self.keep()
        found = to_float_logs(logs)
        if not self.objective.has_value(found):
            if self.is_due is not None and self.is_due(epoch + 1):
                raise missing_objective_error(self.objective, found)
            self.log.add(epoch, found)
            if not self._values():
                self._save_weights()
            return
        is_better = (
            not self.keeps_best
            or not self._values()
            or self.objective.better_than(
                self.objective.get_value(found), self._best()
            )
        )
        if is_better:
            self._save_weights()
        self.log.add(epoch, found)
        if self.report(epoch, found):
            self.is_stopped = True
            self.model.stop_training = True

    def _save_weights(self) -> None:
        # The project folder may have been deleted during the epoch.
        self.weights.parent.mkdir(parents=True, exist_ok=True)
        save_weights(self.model, self.weights, sync=False)

    def _values(self) -> list[float]:
        return [
            self.objective.get_value(logs)
            for logs in self.log.epochs.values()
            if self.objective.has_value(logs)
        ]

    def _best(self) -> float:
        values = self._values()
        return max(values) if self.objective.direction == "max" else min(values)


def complete_log(log: ExecutionLog, history: Any, objective: Any) -> None:
    """Fills the log if `HyperModel.fit` dropped the tuner's callbacks.

    Metrics with fewer values than epochs are placed as `fit` computes them
    with an integer `validation_freq`.
    """
    if not log.epochs:
        found: dict[int, dict[str, float]] = {n: {} for n in history.epoch}
        for name, values in history.history.items():
            step = max(1, len(history.epoch) // max(1, len(values)))
            places = history.epoch[step - 1 :: step]
            for epoch, value in zip(places, values, strict=False):
                found[epoch][name] = float(value)
        for epoch, logs in found.items():
            log.add(epoch, logs)
    if not any(map(objective.has_value, log.epochs.values())):
        last = log.epochs[max(log.epochs)] if log.epochs else {}
        raise missing_objective_error(objective, last)


def missing_objective_error(
    objective: Any, logs: dict[str, float]
) -> Exception:
    """Returns the error for an objective that is not in the logs."""
    from keras_tuner.errors import FatalValueError

    names = list(getattr(objective, "name_to_direction", [objective.name]))
    missing = [name for name in names if name not in logs]
    hint = ""
    if any(name.startswith("val_") for name in missing) and not any(
        name.startswith("val_") for name in logs
    ):
        hint = " Pass `validation_data` or `validation_split` to `search`."
    if names[0] in COSTS:
        hint += f" List {names[0]!r} behind a metric of the training."
    if len(names) > 1:
        return FatalValueError(
            f"Argument `objective` must hold metrics in the logs: {missing} "
            f"are not among {sorted(logs)}. `search.RandomSearch` and others "
            "minimize the sum of the objectives; `search.NSGA2`, with "
            "`search.NSGA2Oracle`, takes several, costs of the model "
            f"included. Received: objective={names}.{hint}"
        )
    return FatalValueError(
        "Argument `objective` must be a metric in the logs, one of "
        f"{sorted(logs)}. Received: objective={objective.name!r}.{hint}"
    )
