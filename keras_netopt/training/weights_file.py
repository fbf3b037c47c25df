"""Writes weights files that are whole or absent."""

import errno
import math
import os
import shutil
from typing import Any

import keras

from keras_netopt.cost.weight_costs import itemsize
from keras_netopt.files import is_local, write_aside
from keras_netopt.training.checkpoint_state import CheckpointState

_AMPLE = 4  # Times the variables; states of callbacks are seldom larger.
_HEADER = 4096  # Bytes that HDF5 adds per array and per group, at most.
_ROOM = 1 << 16


def save_weights(
    model: keras.Model, path: str | os.PathLike[str], *, sync: bool = True
) -> None:
    """Does what `model.save_weights` does, beside the file.

    `path` ends in ".weights.h5", and the new file replaces the old one.

    Raises:
        OSError: If the file does not fit on the disk.
    """
    with write_aside(path, sync=sync) as partial:
        check_room(model, partial)
        model.save_weights(partial)


def check_room(model: Any, path: str) -> None:
    """Raises OSError if the weights of a model do not fit beside a path.

    HDF5 may end the process where it finds the disk full: it cannot close the
    file. Another process may still fill the disk while the file is written.
    """
    if not is_local(path):
        return
    folder = os.path.dirname(path) or "."
    free = shutil.disk_usage(folder).free
    optimizer = getattr(model, "optimizer", None)
    held = [*model.variables, *getattr(optimizer, "variables", ())]
    size = sum(math.prod(v.shape) * itemsize(v) for v in held)
    if _AMPLE * size + _ROOM < free:
        return
    parts = len(held) + 2 * len(model.layers)
    for state in _states(model):  # The arrays of one at a time.
        sizes = [array.nbytes for array in state.save_state()[1].values()]
        parts += len(sizes)
        size += sum(sizes)
    size += _HEADER * parts + _ROOM
    if size > free:
        raise OSError(
            errno.ENOSPC,
            f"The disk has no room for the weights: {size:,} bytes are needed "
            f"and {free:,} are free. Delete files, or save in another folder",
            path,
        )


def _states(model: keras.Model) -> list[Any]:
    found = CheckpointState.find(model)
    return [] if found is None else list(found.states.values())
