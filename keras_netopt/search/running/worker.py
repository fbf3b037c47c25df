"""What runs in another process: one trial, from the first line to the last."""

import os
import pickle
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

SMALL = 1 << 16  # Bytes up to which an array travels with the task.


@dataclass(frozen=True)
class ArrayFile:
    """An array in a file that all workers see."""

    path: str

    def load(self) -> np.ndarray:
        """Returns the array, mapped and not read."""
        found: np.ndarray = np.load(self.path, mmap_mode="r")
        return found


def store_arrays(arguments: Any, folder: Path) -> Any:
    """Puts large arrays into files, once for all trials.

    Args:
        arguments: Any structure.
        folder: Where to.

    Returns:
        The structure with an `ArrayFile` in the place of each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = iter(range(1 << 30))

    def store(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray) or leaf.nbytes <= SMALL:
            return leaf
        path = folder / f"{next(count)}.npy"
        np.save(path, leaf)
        return ArrayFile(str(path.resolve()))

    return keras.tree.map_structure(store, arguments)


def load_arrays(arguments: Any) -> Any:
    """Undoes `store_arrays`."""
    return keras.tree.map_structure(
        lambda leaf: leaf.load() if isinstance(leaf, ArrayFile) else leaf,
        arguments,
    )


def pack(parts: Any) -> bytes:
    """Returns the bytes of a tuner and its arguments.

    Functions of notebooks and lambdas need cloudpickle.

    Raises:
        ValueError: If something cannot be pickled.
    """
    try:
        import cloudpickle

        packer = cloudpickle
    except ImportError:
        packer = pickle
    try:
        return bytes(packer.dumps(parts))
    except Exception as error:
        raise ValueError(
            "Arguments of `search`, the `hypermodel` and the callbacks must "
            "be picklable to reach a worker process. Remedies: put `build` "
            "into a module file, install cloudpickle, or leave `executor=` "
            f"out. Received: {type(error).__name__}: {error}"
        ) from error


def ping(packed: bytes) -> dict[str, Any]:
    """Proves that a worker starts and can unpack its task."""
    pickle.loads(packed)
    return {"pid": os.getpid(), "backend": keras.backend.backend()}


def work(packed: bytes, state: dict[str, Any]) -> dict[str, Any]:
    """Trains a trial.

    Args:
        packed: The tuner, with a `RemoteOracle`, and the arguments of `fit`.
        state: Of the trial.

    Returns:
        What has become of the trial.
    """
    from keras_tuner.engine.trial import Trial

    tuner, named = pickle.loads(packed)
    trial = Trial.from_state(state)
    try:
        tuner.folded = load_folds(tuner.folded)
        tuner._try_run_and_update_trial(trial, **load_arrays(named))
        fatal = None
    except Exception as error:  # One that ends the whole search.
        trial.status = "INVALID"
        trial.message = traceback.format_exc()
        fatal = (type(error).__name__, str(error))
    finally:
        tuner.oracle.close()
    return {
        "status": trial.status,
        "message": trial.message,
        "hyperparameters": trial.hyperparameters.get_config(),
        "fatal": fatal,
        "pid": os.getpid(),
    }


def store_folds(folded: Any, folder: Path) -> Any:
    """Returns folds whose arrays are in files."""
    data = {"y": folded.y, "sample_weight": folded.sample_weight}
    if not callable(folded.x):
        data["x"] = folded.x
    return replace(folded, **store_arrays(data, folder))


def load_folds(folded: Any) -> Any:
    """Returns folds whose arrays are there again."""
    if folded is None:
        return None
    return replace(
        folded,
        x=folded.x if callable(folded.x) else load_arrays(folded.x),
        y=load_arrays(folded.y),
        sample_weight=load_arrays(folded.sample_weight),
    )
