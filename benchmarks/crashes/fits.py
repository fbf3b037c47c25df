"""Every callback in fits that SIGKILL ends again and again.

Run with `KERAS_BACKEND=jax python -m benchmarks.crashes.fits`. A run is a fit
with `keras.callbacks.BackupAndRestore`. It is killed at random moments: in an
epoch, before each change of a file, while an HDF5 file is written, while the
backup is deleted. It is started again each time, and at last not killed.
What training changes is then compared with a fit that was not interrupted.
Where a start raises an error that names a file to delete, the file is
deleted and the run goes on.
"""

import contextlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import benchmarks.crashes.preload  # noqa: F401  # Before Keras.  # isort: skip
import keras
from contract import probes

from benchmarks.crashes.announce import Announce
from benchmarks.crashes.cases import EPOCHS, Case, list_cases
from benchmarks.crashes.child import Work
from benchmarks.crashes.runs import Plan, finish, measure_all
from benchmarks.crashes.witness import Witness

SETTINGS = {
    "epochs": EPOCHS,
    "models": "tests/contract",
    "backup": "first and last in the list, double_checkpoint False and True",
}
KINDS = {"batch": (0.4, 0.02), "file": (0.4, 0.005), "h5": (0.2, 0.003)}
BACKUP = "backup"


def main() -> None:
    """Measures the cases that are not in the results yet."""
    plans = {
        f"{case.component} {case.name}": Plan(
            case.name, partial(make_work, case), read_progress, KINDS
        )
        for case in list_cases()
    }
    measure_all(f"crashes_{keras.backend.backend()}", SETTINGS, plans)


def make_work(case: Case, number: int | None) -> Work:
    """Runs differ in where the backup is listed, and what it keeps."""
    number = number or 0
    is_first, double = bool(number % 2), bool(number // 2 % 2)
    return partial(train, case, is_first, double)


def read_progress(place: Path) -> float:
    """Returns the share of epochs in the backup."""
    with contextlib.suppress(OSError, ValueError):
        text = (place / BACKUP / "training_metadata.json").read_text()
        return float(min(json.loads(text)["epoch"] / EPOCHS, 1.0))
    return 0.0


def train(case: Case, is_first: bool, double: bool, witness: Witness) -> None:
    """Trains a case in a child, and writes the result beside the folder."""
    witness.watch_files()
    model, chosen, arguments = case.build()
    backup = keras.callbacks.BackupAndRestore(BACKUP, double_checkpoint=double)
    listed: list[Any] = [backup, *chosen] if is_first else [*chosen, backup]
    model.fit(
        callbacks=[*listed, Announce(witness)],
        shuffle=False,
        verbose=0,
        **arguments,
    )
    found = probes.state(model)
    for callback in chosen:
        path = getattr(callback, "filepath", None)
        if path is not None:
            best = probes.weights(keras.saving.load_model(path))
            found |= {f"best {name}": value for name, value in best.items()}
    finish(witness, found)


if __name__ == "__main__":
    main()
