"""Reads the files that commands are given."""

import os
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def load_model(path: str) -> "keras.Model":
    """Loads a `.keras` file; its errors are one line each."""
    import keras

    check_file(path)
    # Keras says of such a file that it does not exist.
    if path.endswith(".keras") and not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} cannot be loaded as a Keras model: the file is damaged, "
            "empty or of another kind. Copy or save it again."
        )
    try:
        return keras.saving.load_model(path, compile=False)
    # A damaged file raises errors of h5py, zipfile or zlib, too.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be loaded as a Keras model: {_reason(error)}. "
            "(A model with custom classes loads only where they are imported: "
            "use the Python functions there.)"
        ) from error


def _reason(error: Exception) -> str:
    """Returns the sentence of Keras' long message that names the cause."""
    cause = str(error).rpartition("Exception encountered: ")[2].strip()
    return cause.split("\n")[0].split(". ")[0].rstrip(".")


def load_arrays(path: str) -> Any:
    """Loads the arrays of a `.npy` or `.npz` file.

    Several arrays are a dict by their names.
    """
    import numpy as np

    check_file(path)
    try:
        with open(path, "rb") as file:  # Numpy leaves a damaged one open.
            data = np.load(file)
            if isinstance(data, np.ndarray):
                return data
            arrays = dict(data)
    # What numpy, zipfile and zlib raise for damaged files has no common type.
    except Exception as error:
        raise ValueError(
            f"{path} is not a .npy or .npz file of arrays, or is damaged "
            f"({type(error).__name__}). Save the arrays again."
        ) from error
    if not arrays:
        raise ValueError(f"{path} holds no arrays. Save the arrays again.")
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def check_file(path: str) -> None:
    """Raises an error if there is no such file."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}")
