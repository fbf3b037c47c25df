"""The task of a worker process: training one trial."""

import os
import pickle
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_netopt.files import write_aside

SMALL = 1 << 16  # Arrays of at most so many bytes are pickled.


@dataclass(frozen=True)
class ArrayFile:
    """An array in a file that all workers can read."""

    path: str

    def load(self) -> np.ndarray:
        """Returns the memory-mapped array."""
        found: np.ndarray = np.load(self.path, mmap_mode="r")
        return found


def store_arrays(arguments: Any, folder: Path) -> Any:
    """Replaces large arrays by an `ArrayFile`, once for all trials."""
    folder.mkdir(parents=True, exist_ok=True)
    count = iter(range(1 << 30))

    def store(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray) or leaf.nbytes <= SMALL:
            return leaf
        path = folder / f"{next(count)}.npy"
        with write_aside(path, sync=False) as partial:
            np.save(partial, leaf)
        return ArrayFile(str(path.resolve()))

    return keras.tree.map_structure(store, arguments)


def load_arrays(arguments: Any) -> Any:
    """Replaces each `ArrayFile` by its array."""
    return keras.tree.map_structure(
        lambda leaf: leaf.load() if isinstance(leaf, ArrayFile) else leaf,
        arguments,
    )


def check_no_datasets(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuses a `tf.data.Dataset`, which no other process can read."""
    named = dict(enumerate(args)) | kwargs
    for name, value in named.items():
        kinds = [
            type(leaf).__name__
            for leaf in keras.tree.flatten(value)
            if hasattr(leaf, "element_spec")
        ]
        if kinds:
            raise ValueError(
                f"Argument `{name}` of `search` must hold arrays with an "
                "`executor`: a `tf.data.Dataset` does not reach another "
                "process. Remedies: pass arrays, or make the data set in "
                "`HyperModel.fit`, which runs there. "
                f"Received: {name} of type {', '.join(kinds)}"
            )


def pack(parts: Any) -> bytes:
    """Pickles a tuner and its arguments.

    Lambdas and functions of notebooks need cloudpickle.
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
            "into a module, install cloudpickle, or omit `executor`. "
            f"Received: {type(error).__name__}: {error}"
        ) from error


def ping(packed: bytes) -> dict[str, Any]:
    """Checks that a worker starts and can unpickle its task."""
    pickle.loads(packed)
    return {"pid": os.getpid(), "backend": keras.backend.backend()}


def work(packed: bytes, state: dict[str, Any]) -> dict[str, Any]:
    """Trains a trial; returns its status, message and hyperparameters."""
    from keras_tuner.engine.trial import Trial

    tuner, arguments = pickle.loads(packed)
    trial = Trial.from_state(state)
    try:
        tuner.folded = load_folds(tuner.folded)
        args, kwargs = load_arrays(arguments)
        tuner._try_run_and_update_trial(trial, *args, **kwargs)
        fatal = None
    except Exception as error:  # An error that ends the search.
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
    """Returns the folds with their arrays saved to files."""
    names = ("x", "y", "sample_weight")
    data = {name: getattr(folded, name) for name in names}
    return replace(folded, **store_arrays(data, folder))


def load_folds(folded: Any) -> Any:
    """Returns the folds with their arrays loaded."""
    if folded is None:
        return None
    return replace(
        folded,
        x=load_arrays(folded.x),
        y=load_arrays(folded.y),
        sample_weight=load_arrays(folded.sample_weight),
    )
