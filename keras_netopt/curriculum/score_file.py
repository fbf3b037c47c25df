"""Saves and loads difficulty scores."""

import os
from pathlib import Path

import numpy as np

from keras_netopt.curriculum.difficulty import check_scores
from keras_netopt.files import name_unreadable, write_aside

SUFFIX = ".npz"
REMEDY = "Compute the scores again and call `save_scores`."


def save_scores(path: str | os.PathLike[str], scores: np.ndarray) -> None:
    """Saves difficulty scores to a file.

    Example:

    >>> import numpy as np
    >>> save_scores("scores.npz", np.array([0.5, 0.1]))
    >>> load_scores("scores.npz")
    array([0.5, 0.1])

    Args:
        path: File to write; the name must end in ".npz".
        scores: One finite number per sample.

    Raises:
        ValueError: If the name or the scores are wrong.
    """
    array = check_scores(scores, len(scores))
    with write_aside(_check_path(path)) as partial:
        np.savez_compressed(partial, scores=array)


def load_scores(path: str | os.PathLike[str]) -> np.ndarray:
    """Loads scores, as in `Curriculum(difficulty=load_scores(path))`.

    Example:

    >>> import numpy as np
    >>> save_scores("scores.npz", np.arange(3.0))
    >>> load_scores("scores.npz").tolist()
    [0.0, 1.0, 2.0]

    Args:
        path: File written by `save_scores`.

    Returns:
        Float64 array of shape `(samples,)`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read or holds no scores.
    """
    with (
        name_unreadable(_check_path(path), "difficulty scores", REMEDY),
        open(path, "rb") as file,  # Numpy leaves a damaged one open.
        np.load(file) as held,
    ):
        arrays = dict(held)
    if "scores" not in arrays:
        raise ValueError(
            "Argument `path` must name a file written by `save_scores`. "
            f"Received: path={os.fspath(path)!r} with arrays {[*arrays]}"
        )
    found = arrays["scores"]
    return check_scores(found, len(found))


def _check_path(path: str | os.PathLike[str]) -> Path:
    if Path(path).suffix != SUFFIX:
        raise ValueError(
            f"Argument `path` must end in {SUFFIX!r}. "
            f"Received: path={os.fspath(path)!r}"
        )
    return Path(path)
