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
    except (ValueError, TypeError, OSError, KeyError) as error:
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
        data = np.load(path)
    except ValueError as error:
        raise ValueError(
            f"{path} is not a .npy or .npz file of arrays."
        ) from error
    if isinstance(data, np.ndarray):
        return data
    arrays = {name: data[name] for name in data.files}
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def check_file(path: str) -> None:
    """Raises an error if there is no such file."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}")
