"""The logs of one execution, on disk."""

from pathlib import Path
from typing import Any

import keras

from keras_netopt.files import name_unreadable
from keras_netopt.search.storage import read_json, write_json

REMEDY = "The training of this trial begins again."


class ExecutionLog:
    """The logs of each epoch, saved after each epoch, read on resume."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.epochs: dict[int, dict[str, float]] = {}
        self.is_done = False
        self.is_stopped = False
        self.has_begun = False  # In this process.
        self.problem = ""  # Why the file cannot be read.
        self._read()

    def add(self, epoch: int, logs: dict[str, float]) -> None:
        """Adds an epoch, numbered from 0."""
        self.epochs[epoch] = logs
        self._write()

    def truncate(self, epoch: int) -> None:
        """Drops this epoch and all later ones: training begins here."""
        self.has_begun = True
        self.epochs = {k: v for k, v in self.epochs.items() if k < epoch}

    def end(self, *, stopped: bool) -> None:
        """Marks the execution as complete."""
        self.is_done, self.is_stopped = True, stopped
        self._write()

    def best(self, objective: Any) -> tuple[int, dict[str, float]]:
        """Returns the best epoch by the objective, and its logs."""
        best: int | None = None
        for epoch, logs in sorted(self.epochs.items()):
            if not objective.has_value(logs):
                continue
            value = objective.get_value(logs)
            if best is None or objective.better_than(
                value, objective.get_value(self.epochs[best])
            ):
                best = epoch
        if best is None:
            raise _no_epoch()
        return best, self.epochs[best]

    def last(self, objective: Any) -> tuple[int, dict[str, float]]:
        """Returns the last epoch with the objective, and its logs."""
        for epoch, logs in sorted(self.epochs.items(), reverse=True):
            if objective.has_value(logs):
                return epoch, logs
        raise _no_epoch()

    def _read(self) -> None:
        try:
            with name_unreadable(self.path, "logs of epochs", REMEDY):
                found = read_json(str(self.path))
                epochs = {int(k): dict(v) for k, v in found["epochs"].items()}
                state = bool(found["done"]), bool(found["stopped"])
        except FileNotFoundError:  # The execution begins.
            return
        except ValueError as error:
            self.problem = str(error)
            return
        self.epochs = epochs
        self.is_done, self.is_stopped = state

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        found = {
            "epochs": {str(k): v for k, v in self.epochs.items()},
            "done": self.is_done,
            "stopped": self.is_stopped,
        }
        write_json(str(self.path), found, sync=self.is_done)


def _no_epoch() -> ValueError:
    return ValueError("`fit` must train at least one epoch. Received: no epoch")


def to_float_logs(logs: dict[str, Any] | None) -> dict[str, float]:
    """Returns the numeric logs as floats."""
    found = {}
    for name, value in (logs or {}).items():
        try:
            found[name] = float(keras.ops.convert_to_numpy(value))
        except (TypeError, ValueError):
            continue
    return found
