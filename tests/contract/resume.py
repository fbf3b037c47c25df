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
    """One way to be interrupted and to go on.

    Args:
        name: What the tests are called after.
        setting: The setting of the piece.
        model: The model of the zoo.
        keeper: What survives: "backup first" and "backup last" in the list,
            or a "file" that the model is loaded from, "masks" for masks too.
        save_freq: As BackupAndRestore takes it.
        dropout: The model's.
        piece: Builds another piece than the setting's.
    """

    name: str
    setting: str = "Pruning"
    model: str = "mlp"
    keeper: str = "backup last"
    save_freq: Any = "epoch"
    dropout: float = 0.2
    piece: Callable[[callback_setting.Case], Any] | None = None


def _densest(case: callback_setting.Case) -> BestCheckpoint:
    """Its best epoch is the first one, before the process is killed."""
    path = str(case.folder / "best.keras")
    return BestCheckpoint(path, monitor="loss", mode="max", sparsity=0.01)


def _updated_when_saved(case: callback_setting.Case) -> Pruning:
    """With an update at the very step that is saved last."""
    return Pruning(Linear(final=0.5, begin=3, end=12), frequency=3)


EXACT = (
    *(Run(setting.name, setting.name) for setting in settings.CALLBACKS),
    Run("batch norm", model="cnn", keeper="backup first"),
    Run("load_model", keeper="file", dropout=0.0),
    Run("load_masks", keeper="masks"),
    Run("best epoch", "BestCheckpoint", piece=_densest),
    Run(
        "best epoch, backup first",
        "BestCheckpoint",
        keeper="backup first",
        piece=_densest,
    ),
)
# Keras repeats the epoch here, on trained weights: not equal, but in order.
FREQUENT = (
    Run(
        "often, backup first",
        keeper="backup first",
        save_freq=3,
        piece=_updated_when_saved,
    ),
    Run(
        "often, backup last",
        keeper="backup last",
        save_freq=3,
        piece=_updated_when_saved,
    ),
)


class Recorder(keras.callbacks.Callback):
    """Notes where the piece is after its start and after every batch."""

    def __init__(self, piece: Any) -> None:
        super().__init__()
        self.piece = piece
        self.steps: list[int] = []
        self.updates: list[int] = []
        self.masked: list[int] = []
        self.half: probes.Arrays = {}

    def note(self) -> None:
        session = getattr(self.piece, "_session", None)
        if session is not None:
            self.steps.append(self.piece._progress.step)
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
    """Starts every run inside the one before and kills them all at once.

    A process dies once; fits inside each other's callbacks are all in the
    middle of their third epoch when it does.
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
    """Goes on where the killed process was, and writes what came out."""
    folder = folder_of(run, root)
    if "backup" in run.keeper:
        model, watch = train(run, folder, [_keeper(run, folder)])
    else:
        path = folder / "02.keras"
        model = keras.saving.load_model(path)
        if run.keeper == "masks":
            sparsity.load_masks(model, path)
        model, watch = train(run, folder, [], model, initial_epoch=2)
    _write(folder / "resumed.npz", model, watch)


def run_through(run: Run, root: Path) -> None:
    """The same run, never interrupted."""
    path = whole_of(run, root)
    if not path.exists():
        _write(path, *train(run, folder_of(run, root), []))


def whole_of(run: Run, root: Path) -> Path:
    """Runs that differ in what survives have one uninterrupted twin."""
    piece = run.piece.__name__ if run.piece is not None else ""
    name = f"{run.setting} {run.model} {run.dropout} {piece}".replace(":", "")
    return root / f"{name}.npz"


def train(
    run: Run,
    folder: Path,
    others: list[Any],
    model: keras.Model | None = None,
    **fit: Any,
) -> tuple[keras.Model, Recorder]:
    """Trains four epochs with the piece and other callbacks around it."""
    model = model or zoo.compiled(run.model, dropout=run.dropout)
    case = callback_setting.case(run.model, folder)
    piece = run.piece(case) if run.piece is not None else None
    callbacks = settings.BY_NAME[run.setting].callbacks(case, piece)
    watch = Recorder(callbacks[-1])
    where = 0 if run.keeper == "backup first" else len(callbacks)
    callbacks[where:where] = others[:1]
    callbacks += [watch, *others[1:]]
    probes.fit(model, run.model, callbacks, epochs=EPOCHS, **fit)
    return model, watch


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


def _write(path: Path, model: keras.Model, watch: Recorder) -> None:
    seen = {
        f"watch {name}": np.array(getattr(watch, name))
        for name in ("steps", "updates", "masked")
    }
    best = getattr(watch.piece, "filepath", None)
    if best is not None:
        saved = keras.saving.load_model(best)
        seen.update({f"best {k}": v for k, v in probes.weights(saved).items()})
    half = {f"half {key}": value for key, value in watch.half.items()}
    np.savez(path, **probes.state(model), **seen, **half)


def without(
    arrays: dict[str, np.ndarray], names: str | tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The arrays whose names do not start with one of `names`."""
    return {k: v for k, v in arrays.items() if not k.startswith(names)}
