"""The folder of `BackupAndRestore`, made consistent before Keras reads it.

Keras writes the weights, then the epoch, and deletes both when `fit` ends. A
process may be killed between any two of these. This package's state in the
weights says how many epochs they have seen.
"""

import contextlib
import json
import os
import shutil

from keras_netopt.files import write_aside
from keras_netopt.training.checkpoint_state import read_position

_WEIGHTS, _METADATA = "latest.weights.h5", "training_metadata.json"
_BEGIN_ANEW = "Delete the folder {folder!r} to train from the beginning"


def mend_backup(
    backup_dir: str | os.PathLike[str], epochs: int | None = None
) -> str | None:
    """Repairs what a killed process has left in the folder of a backup.

    `epochs` is the number of epochs of the `fit` call that will restore it.
    Returns what it found, for a warning, or `None`.

    Raises:
        ValueError: If the only backup of complete epochs cannot be read.
    """
    folder = os.fspath(backup_dir)
    if not os.path.isdir(folder):
        return None  # No backup yet, or in a store of objects.
    weights, metadata = _paths(folder, "")
    if not os.path.exists(weights):
        return _clear(folder)
    if not _is_readable(weights) and not _take_previous(folder):
        if os.path.exists(metadata):
            raise ValueError(
                "The backup of BackupAndRestore cannot be read: the process "
                "was killed while it wrote the file. "
                f"{_BEGIN_ANEW.format(folder=folder)}; with "
                "BackupAndRestore(double_checkpoint=True) the backup before it "
                f"is kept. Received: path={weights!r}"
            )
        os.remove(weights)
        return (
            "the process was killed while BackupAndRestore wrote its first "
            f"backup, so {weights!r} was removed. Training begins anew."
        )
    found = read_position(weights)
    if found is not None and found["stops"] and epochs is not None:
        return _end_fit(metadata, found["epochs"], epochs, folder)
    complete = None if found is None else found["epochs"]
    return _mend_metadata(complete, metadata, folder)


def _clear(folder: str) -> str | None:
    """Removes what was left when a finished fit deleted its backup."""
    found = [
        path
        for suffix in ("", ".bkp")
        for path in _paths(folder, suffix)
        if os.path.exists(path)
    ]
    for path in found:
        os.remove(path)
    if not found:
        return None
    return (
        "the process was killed after a finished `fit`, while BackupAndRestore "
        f"deleted its backup in {folder!r}. The weights are gone, the rest was "
        "removed. Training begins anew."
    )


def _take_previous(folder: str) -> bool:
    """Puts the previous backup in the place of the last one, as Keras does."""
    previous = _paths(folder, ".bkp")
    if not os.path.exists(previous[0]) or not _is_readable(previous[0]):
        return False
    for old, new in zip(previous, _paths(folder, ""), strict=True):
        if os.path.exists(old):
            with write_aside(new) as partial:
                shutil.copyfile(old, partial)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.remove(new)
    return True


def _end_fit(
    metadata: str, complete: int, epochs: int, folder: str
) -> str | None:
    """Leaves no epoch of a fit that a callback has stopped."""
    if (_read_epoch(metadata) or 0) >= epochs:
        return None
    _write_epoch(metadata, epochs)
    return (
        f"a callback had stopped the training after {complete} epochs when the "
        f"process was killed, so no epoch is left. "
        f"{_BEGIN_ANEW.format(folder=folder)}."
    )


def _mend_metadata(
    complete: int | None, metadata: str, folder: str
) -> str | None:
    """Writes the epoch that the weights belong to, if it is not there."""
    saved = _read_epoch(metadata)
    exists = os.path.exists(metadata)
    if complete is None:
        if saved is not None:
            return None
        why = "cannot be read" if exists else "is missing"
        if exists:
            raise ValueError(
                f"The metadata of BackupAndRestore {why}, and the weights do "
                "not say after which epoch they were saved. "
                f"{_BEGIN_ANEW.format(folder=folder)}. "
                f"Received: path={metadata!r}"
            )
        return (
            f"{metadata!r} {why}, so BackupAndRestore restores weights and "
            "begins with the first epoch. "
            f"{_BEGIN_ANEW.format(folder=folder)}."
        )
    if saved is not None and saved >= complete:
        return None
    if complete == 0 and not exists:
        return None  # Saved in the first epoch, which Keras repeats.
    _write_epoch(metadata, complete)
    return (
        "the process was killed before BackupAndRestore wrote the epoch of its "
        f"weights to {metadata!r}. Training continues after {complete} epochs."
    )


def _write_epoch(path: str, epoch: int) -> None:
    with write_aside(path) as partial, open(partial, "w") as file:
        json.dump({"epoch": epoch, "batch": 0}, file)


def _read_epoch(path: str) -> int | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        with open(path) as file:
            return int(json.load(file)["epoch"])
    return None


def _is_readable(path: str) -> bool:
    import h5py

    try:
        h5py.File(path, "r").close()
    except OSError:
        return False
    return True


def _paths(folder: str, suffix: str) -> tuple[str, str]:
    place = os.path.join(folder, "")
    return f"{place}{_WEIGHTS}{suffix}", f"{place}{_METADATA}{suffix}"
