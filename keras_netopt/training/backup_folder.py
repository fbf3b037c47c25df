"""The folder of `BackupAndRestore`, made consistent before Keras reads it.

Keras writes the weights, then the epoch, and deletes the folder, in any order,
when `fit` ends. A process may be killed between any two of these. This
package's state in the weights says how many epochs they have seen. Weights
are never deleted: those that are damaged are renamed.
"""

import contextlib
import json
import os
import shutil

from keras_netopt.files import name_unreadable, write_aside
from keras_netopt.training.checkpoint_state import read_position

_WEIGHTS, _METADATA = "latest.weights.h5", "training_metadata.json"
_DAMAGED = ".damaged"
_BEGIN_ANEW = "Delete the folder {folder!r} to train from the beginning"
_READABLE = (
    "Nothing was changed: let this process read the file, and `fit` again."
)


def mend_backup(
    backup_dir: str | os.PathLike[str], epochs: int | None = None
) -> str | None:
    """Repairs what a killed process has left in the folder of a backup.

    `epochs` is the number of epochs of the `fit` call that will restore it.
    Returns what it found, for a warning, or `None`.

    Raises:
        ValueError: If the only backup of complete epochs is damaged, or a
            file may not be read.
    """
    folder = os.fspath(backup_dir)
    if not os.path.isdir(folder):
        return None  # No backup yet, or in a store of objects.
    weights, metadata = _paths(folder, "")
    is_missing = not os.path.exists(weights)
    if not is_missing and not _is_damaged(weights):
        return _mend_epoch(folder, epochs)
    previous = _paths(folder, ".bkp")[0]
    if os.path.exists(previous) and not _is_damaged(previous):
        taken = _take_previous(folder, epochs)
        more = _mend_epoch(folder, epochs)
        return taken if more is None else f"{taken} Moreover, {more}"
    if is_missing:
        return _begin_anew(folder)
    if os.path.exists(metadata):
        raise ValueError(
            "The backup of BackupAndRestore cannot be read: the process "
            "was killed while it wrote the file. "
            f"{_BEGIN_ANEW.format(folder=folder)}; with "
            "BackupAndRestore(double_checkpoint=True) the backup before it "
            f"is kept. Received: path={weights!r}"
        )
    return (
        "the process was killed while BackupAndRestore wrote its first backup"
        f"{_set_aside(weights)}{_set_aside(previous)}. Training begins anew."
    )


def _begin_anew(folder: str) -> str | None:
    """Removes the epochs of weights that are gone."""
    found = [
        path
        for suffix in ("", ".bkp")
        for path in _paths(folder, suffix)
        if os.path.exists(path)
    ]
    if not found:
        return None
    aside = _set_aside(_paths(folder, ".bkp")[0])
    for path in found:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
    return (
        f"the weights of the backup in {folder!r} are gone, as when the "
        "process is killed while BackupAndRestore deletes the backup of a "
        f"finished `fit`{aside}. Training begins anew."
    )


def _take_previous(folder: str, epochs: int | None) -> str:
    """Puts the previous backup in the place of the last one, as Keras does.

    The weights come last: a kill before leaves weights that are missing, and
    this is done again. Returns what is told of it.
    """
    last, previous = _paths(folder, ""), _paths(folder, ".bkp")
    finished = epochs is not None and (_read_epoch(last[1]) or 0) >= epochs
    if os.path.exists(last[0]):
        why = f"is damaged{_set_aside(last[0])}"
    elif finished:
        why = (
            "is missing, as when the process is killed while BackupAndRestore "
            "deletes the backup of a finished `fit`"
        )
    else:
        why = "is missing"
    for old, new in reversed(list(zip(previous, last, strict=True))):
        if os.path.exists(old):
            with write_aside(new) as partial:
                shutil.copyfile(old, partial)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.remove(new)
    return (
        f"the last backup of BackupAndRestore, {last[0]!r}, {why}. Training "
        "continues from the backup before it."
    )


def _set_aside(path: str) -> str:
    """Renames damaged weights; returns what is told of it."""
    damaged = f"{path}{_DAMAGED}"
    try:
        os.replace(path, damaged)
    except FileNotFoundError:
        return ""
    return f"; what it wrote is kept as {damaged!r}"


def _mend_epoch(folder: str, epochs: int | None) -> str | None:
    """Makes the epoch in the metadata that of the weights."""
    weights, metadata = _paths(folder, "")
    with name_unreadable(weights, "a backup of BackupAndRestore", _READABLE):
        found = read_position(weights)
    if found is not None and found["stops"] and epochs is not None:
        return _end_fit(metadata, found["epochs"], epochs, folder)
    complete = None if found is None else found["epochs"]
    return _mend_metadata(complete, metadata, folder)


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
    text = ""
    with name_unreadable(path, "metadata of BackupAndRestore", _READABLE):
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            text = file.read().decode(errors="replace")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return int(json.loads(text)["epoch"])
    return None


def _is_damaged(path: str) -> bool:
    """Returns whether a file is torn, or no HDF5 file.

    Raises:
        ValueError: If it may not be read: it is locked, or is not ours.
    """
    import h5py

    with name_unreadable(path, "a backup of BackupAndRestore", _READABLE):
        try:
            h5py.File(path, "r").close()
        except OSError as error:
            if error.errno is not None:  # The system's, not HDF5's.
                raise
            return True
    return False


def _paths(folder: str, suffix: str) -> tuple[str, str]:
    place = os.path.join(folder, "")
    return f"{place}{_WEIGHTS}{suffix}", f"{place}{_METADATA}{suffix}"
