"""The runs of C6: killed in the middle, resumed, and never interrupted."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import callback_setting, probes, settings, zoo

from keras_netopt import sparsity
from keras_netopt.callbacks import BestCheckpoint, Pruning
from keras_netopt.schedules import Linear
from keras_netopt.training import MaskStore

EPOCHS = 4
KILLED_AFTER = 10  # Two epochs of 4 batches, and 2 batches more.


@dataclass(frozen=True)
class Run:
    """One way to interrupt and resume a `fit` call.

    Args:
        name: Name of the run in test ids.
        setting: Name of the setting of the callback.
        model: The model of the zoo.
        keeper: What saves: `BackupAndRestore` as "backup first" or "backup
            last" in the list, or a model "file", "masks" for masks too.
        save_freq: Argument of `BackupAndRestore`.
        dropout: Dropout rate of the model.
        component: Builds the callback instead of the setting.
    """

    name: str
    setting: str = "Pruning"
    model: str = "mlp"
    keeper: str = "backup last"
    save_freq: Any = "epoch"
    dropout: float = 0.2
    component: Callable[[callback_setting.Case], Any] | None = None


def _densest(case: callback_setting.Case) -> BestCheckpoint:
    """Its best epoch is the first one, before the process is killed."""
    path = str(case.folder / "best.keras")
    return BestCheckpoint(path, monitor="loss", mode="max", sparsity=0.01)


def _updated_when_saved(case: callback_setting.Case) -> Pruning:
    """With an update at the last saved step."""
    return Pruning(Linear(final=0.5, begin=3, end=12), frequency=3)


EXACT = (
    *(Run(setting.name, setting.name) for setting in settings.CALLBACKS),
    Run("batch norm", model="cnn", keeper="backup first"),
    Run("load_model", keeper="file", dropout=0.0),
    Run("load_masks", keeper="masks"),
    Run("best epoch", "BestCheckpoint", component=_densest),
    Run(
        "best epoch, backup first",
        "BestCheckpoint",
        keeper="backup first",
        component=_densest,
    ),
)
# Keras repeats the epoch on trained weights: equal in order, not in values.
FREQUENT = (
    Run(
        "often, backup first",
        keeper="backup first",
        save_freq=3,
        component=_updated_when_saved,
    ),
    Run(
        "often, backup last",
        keeper="backup last",
        save_freq=3,
        component=_updated_when_saved,
    ),
)


class Recorder(keras.callbacks.Callback):
    """Records the position of the callback after every batch."""

    def __init__(self, component: Any) -> None:
        super().__init__()
        self.component = component
        self.steps: list[int] = []
        self.updates: list[int] = []
        self.masked: list[int] = []
        self.half: probes.Arrays = {}

    def note(self) -> None:
        session = getattr(self.component, "_session", None)
        if session is not None:
            self.steps.append(self.component._progress.step)
            self.updates.append(session.last)
            masks = MaskStore.of(self.model).masks().values()
            self.masked.append(sum(int((~mask).sum()) for mask in masks))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self.steps:
            self.note()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.note()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            self.half = probes.weights(self.model)


def kill_all(root: Path) -> None:
    """Starts every run inside the previous one and kills the process.

    The `fit` calls are nested in callbacks, so all of them are in the middle
    of their third epoch.
    """
    runs = [*EXACT, *FREQUENT]

    def start(i: int) -> None:
        if i == len(runs):
            os.kill(os.getpid(), signal.SIGKILL)
        folder = folder_of(runs[i], root)
        bomb = probes.AtBatch(KILLED_AFTER, lambda model: start(i + 1))
        train(runs[i], folder, [_keeper(runs[i], folder), bomb])

    start(0)


def resume(run: Run, root: Path) -> None:
    """Resumes a run of the killed process and writes the result."""
    folder = folder_of(run, root)
    if "backup" in run.keeper:
        model, recorder = train(run, folder, [_keeper(run, folder)])
    else:
        path = folder / "02.keras"
        model = keras.saving.load_model(path)
        if run.keeper == "masks":
            sparsity.load_masks(model, path)
        model, recorder = train(run, folder, [], model, initial_epoch=2)
    _write(folder / "resumed.npz", model, recorder)


def run_through(run: Run, root: Path) -> None:
    """The same run without interruption."""
    path = whole_of(run, root)
    if not path.exists():
        _write(path, *train(run, folder_of(run, root), []))


def whole_of(run: Run, root: Path) -> Path:
    """Runs that differ in `keeper` share one uninterrupted run."""
    component = run.component.__name__ if run.component is not None else ""
    name = f"{run.setting} {run.model} {run.dropout} {component}".replace(
        ":", ""
    )
    return root / f"{name}.npz"


def train(
    run: Run,
    folder: Path,
    others: list[Any],
    model: keras.Model | None = None,
    **fit: Any,
) -> tuple[keras.Model, Recorder]:
    """Trains four epochs with the callback among other callbacks."""
    model = model or zoo.compiled(run.model, dropout=run.dropout)
    case = callback_setting.case(run.model, folder)
    component = run.component(case) if run.component is not None else None
    callbacks = settings.BY_NAME[run.setting].callbacks(case, component)
    recorder = Recorder(callbacks[-1])
    where = 0 if run.keeper == "backup first" else len(callbacks)
    callbacks[where:where] = others[:1]
    callbacks += [recorder, *others[1:]]
    probes.fit(model, run.model, callbacks, epochs=EPOCHS, **fit)
    return model, recorder


def folder_of(run: Run, root: Path) -> Path:
    folder = root / run.name.replace(":", "")
    folder.mkdir(exist_ok=True)
    return folder


def _keeper(run: Run, folder: Path) -> Any:
    if "backup" in run.keeper:
        return keras.callbacks.BackupAndRestore(
            str(folder / "backup"), save_freq=run.save_freq
        )
    return keras.callbacks.ModelCheckpoint(str(folder / "{epoch:02d}.keras"))


def _write(path: Path, model: keras.Model, recorder: Recorder) -> None:
    seen = {
        f"recorder {name}": np.array(getattr(recorder, name))
        for name in ("steps", "updates", "masked")
    }
    best = getattr(recorder.component, "filepath", None)
    if best is not None:
        saved = keras.saving.load_model(best)
        seen.update({f"best {k}": v for k, v in probes.weights(saved).items()})
    half = {f"half {key}": value for key, value in recorder.half.items()}
    np.savez(path, **probes.state(model), **seen, **half)


def without(
    arrays: dict[str, np.ndarray], names: str | tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The arrays whose names do not start with one of `names`."""
    return {k: v for k, v in arrays.items() if not k.startswith(names)}
