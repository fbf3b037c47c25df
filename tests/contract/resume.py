"""The runs of C6: interrupted in the middle, resumed, never interrupted.

A trial saves as it trains. In the middle of an epoch its folder is copied: the
copy holds what a process that is killed at this step leaves behind. A new
process resumes from the copy, and must end as the trial does.
"""

import contextlib
import dataclasses
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from contract import callback_setting, probes, settings, zoo

from keras_netopt import sparsity
from keras_netopt.schedules import Linear
from keras_netopt.training import MaskStore

EPOCHS = 4
KILLED_AFTER = 10  # Two epochs of 4 batches, and 2 batches more.


def _changed(name: str, like: str, **arguments: Any) -> Any:
    """A setting with other arguments."""
    found = settings.BY_NAME[like]

    def changed(case: callback_setting.Case) -> dict[str, Any]:
        return {**found.arguments(case), **arguments}

    return dataclasses.replace(found, name=name, arguments=changed)


# Its best epoch is the first one, before the process is killed.
EARLY_BEST = _changed("best epoch", "BestCheckpoint", sparsity=0.01)
# With an update at the last saved step, 9.
OFTEN = _changed(
    "often",
    "Pruning",
    sparsity=Linear(final=0.5, begin=3, end=12),
    frequency=3,
)
SETTINGS = {s.name: s for s in (*settings.CALLBACKS, EARLY_BEST, OFTEN)}


@dataclass(frozen=True)
class Run:
    """One way to resume a trial.

    Args:
        setting: Name of the setting of the trial.
        model: The model of the zoo.
        keeper: What saved: `BackupAndRestore` "first" or "last" in the list,
            or a model "file", "masks" for masks too.
        killed: When: "in an epoch", or "behind its last backup".
    """

    setting: str
    model: str = "mlp"
    keeper: str = "last"
    killed: str = "in an epoch"

    @property
    def name(self) -> str:
        return (
            f"{self.setting} {self.model} {self.keeper} {self.killed}".replace(
                ":", ""
            )
        )


EXACT = (
    *(Run(setting.name) for setting in settings.CALLBACKS),
    Run("Pruning", model="cnn", keeper="first"),
    Run("Pruning", keeper="masks"),
    Run("LotteryTicket", keeper="first"),
    Run("often", keeper="file"),
    Run("best epoch"),
    Run("best epoch", keeper="first"),
)
# Keras repeats the epoch on trained weights: equal in order, not in values.
FREQUENT = (Run("often", keeper="first"), Run("often"))
# No epoch is left.
ENDED = (
    *(
        Run(setting.name, killed="behind its last backup")
        for setting in settings.COMPONENTS.values()
    ),
    Run("best epoch", keeper="first", killed="behind its last backup"),
)
# Its callback ends the training before the last epoch.
STOPPED = (Run("PrecheltStopping", killed="behind its last backup"),)
RUNS = (*EXACT, *FREQUENT, *ENDED)


class Recorder(keras.callbacks.Callback):
    """Counts masked weights after every batch; copies the folder at the kill.

    Args:
        component: The callback.
        folder: The trial's folder. The callbacks work in its folder "work".
    """

    def __init__(self, component: Any, folder: Path) -> None:
        super().__init__()
        self.component = component
        self.folder, self.work = folder, folder / "work"
        self.masked: list[int] = []
        self.batches = 0
        self.half: probes.Arrays = {}

    def note(self) -> None:
        store = MaskStore.of(self.model)
        if store is not None:
            masks = store.masks().values()
            self.masked.append(sum(int((~mask).sum()) for mask in masks))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.batches == 0:
            self.note()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.note()
        self.batches += 1
        if self.batches == KILLED_AFTER:
            self._copy("in an epoch")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        is_last = self.model.stop_training or epoch == EPOCHS - 1
        if is_last:
            self._copy("behind its last backup")
        if epoch == 1:
            self.half = probes.weights(self.model)

    def _copy(self, name: str) -> None:
        """Keeps what the first process would leave; a resumed one adds none."""
        target = self.folder / name
        if self.work.exists() and not target.exists():
            shutil.copytree(self.work, target)


def is_first(setting: callback_setting.Setting, name: str) -> bool:
    """Whether it trains as users do, with a metric and validation data."""
    return name == "mlp" and setting in settings.COMPONENTS.values()


def compiled(
    setting: callback_setting.Setting, name: str, metrics: Any = None
) -> keras.Model:
    """The model of a trial; `load_model` does not restore its dropout."""
    dropout = 0.0 if setting.name == OFTEN.name else 0.2
    return zoo.compiled(name, dropout=dropout, metrics=metrics)


def callbacks(
    setting: callback_setting.Setting,
    model: str,
    folder: Path,
    keepers: Sequence[str] | None = None,
) -> tuple[list[Any], Recorder]:
    """The callback among those that save, and the recorder."""
    case = callback_setting.case(model, folder / "work")
    found = setting.callbacks(case)
    recorder = Recorder(found[-1], folder)
    frequency = 3 if setting.name == OFTEN.name else "epoch"
    if keepers is not None:
        frequency = 100  # A run that loads need not save.
    else:
        keepers = [
            run.keeper
            for run in RUNS
            if (run.setting, run.model) == (setting.name, model)
        ]
        keepers = list(dict.fromkeys(keepers))
    for keeper in keepers:
        if keeper in ("first", "last"):
            where = 0 if keeper == "first" else len(found)
            backup = keras.callbacks.BackupAndRestore(
                str(case.folder / keeper), save_freq=frequency
            )
            found.insert(where, backup)
        else:
            path = str(case.folder / "{epoch}.keras")
            found.append(keras.callbacks.ModelCheckpoint(path))
    return [*found, recorder], recorder


def resume(run: Run, trials: Path, target: Path) -> None:
    """Resumes a trial of another process and writes the result."""
    folder = trials / f"{run.model} {run.setting}".replace(":", "")
    work = folder / "work"  # Paths in the saved state point there.
    shutil.rmtree(work)
    shutil.copytree(folder / run.killed, work)
    setting = SETTINGS[run.setting]
    # The state of a search in rounds holds the metrics of each round.
    has_logs = setting.parts > 1 and is_first(setting, run.model)
    if run.keeper in ("first", "last"):
        metrics = ["accuracy"] if has_logs else None
        model = compiled(setting, run.model, metrics=metrics)
        keepers, begin = [run.keeper], 0
    else:
        path = work / "2.keras"
        model, keepers, begin = keras.saving.load_model(path), [], 2
        if run.keeper == "masks":
            sparsity.load_masks(model, path)
    found, recorder = callbacks(setting, run.model, folder, keepers)
    fit: dict[str, Any] = {"epochs": EPOCHS, "initial_epoch": begin}
    # On torch each iteration over data draws a random number.
    is_torch = keras.backend.backend() == "torch"
    if has_logs or (is_torch and is_first(setting, run.model)):
        fit["validation_data"] = zoo.data(run.model)
    with _stopped() if run in STOPPED else contextlib.nullcontext():
        probes.fit(model, run.model, found, **fit)
    np.savez(target, **result(model, recorder))


def _stopped() -> Any:
    return pytest.warns(UserWarning, match="a callback had stopped")


def train_until_killed(folder: Path) -> None:
    """Trains as the first trial does; ends the process in the middle."""

    def kill(model: keras.Model) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    (folder / "work").mkdir()
    found, _ = callbacks(settings.CALLBACKS[0], "mlp", folder)
    found.insert(-1, probes.AtBatch(KILLED_AFTER, kill))
    model = compiled(settings.CALLBACKS[0], "mlp", metrics=["accuracy"])
    probes.fit(model, "mlp", found, epochs=EPOCHS)


def result(model: keras.Model, recorder: Recorder) -> probes.Arrays:
    found = {**probes.state(model), "masked": np.array(recorder.masked)}
    best = getattr(recorder.component, "filepath", None)
    if best is not None:
        keras.utils.set_random_seed(7)  # For the dropout of the loaded model.
        saved = keras.saving.load_model(best)
        found.update({f"best {k}": v for k, v in probes.weights(saved).items()})
    half = {f"half {key}": value for key, value in recorder.half.items()}
    return {**found, **half}


def without(arrays: probes.Arrays, names: str | tuple[str, ...]) -> Any:
    """The arrays whose names do not start with one of `names`."""
    return {k: v for k, v in arrays.items() if not k.startswith(names)}
