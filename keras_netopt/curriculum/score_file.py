"""Scores on disk: made once, used in many runs."""

import os
from pathlib import Path

import numpy as np

from keras_netopt.curriculum.difficulty import checked_scores

SUFFIX = ".npz"


def save_scores(path: str | os.PathLike[str], scores: np.ndarray) -> None:
    """Writes scores to a file.

    Example:

    >>> import numpy as np
    >>> save_scores("scores.npz", np.array([0.5, 0.1]))
    >>> load_scores("scores.npz")
    array([0.5, 0.1])

    Args:
        path: Where to write; the name must end in ".npz".
        scores: One finite number for each sample.

    Raises:
        ValueError: If the name or the scores are wrong.
    """
    array = checked_scores(scores, len(scores))
    np.savez_compressed(_checked(path), scores=array)


def load_scores(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads scores for `Curriculum(difficulty=load_scores(path))`.

    Example:

    >>> import numpy as np
    >>> save_scores("scores.npz", np.arange(3.0))
    >>> load_scores("scores.npz").tolist()
    [0.0, 1.0, 2.0]

    Args:
        path: What `save_scores` has written.

    Returns:
        Float64 array of shape `(samples,)`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no scores.
    """
    with np.load(_checked(path)) as file:
        if "scores" not in file.files:
            raise ValueError(
                "Argument `path` must name a file written by `save_scores`. "
                f"Received: path={os.fspath(path)!r} with {file.files}"
            )
        found = np.array(file["scores"])
    return checked_scores(found, len(found))


def _checked(path: str | os.PathLike[str]) -> Path:
    if Path(path).suffix != SUFFIX:
        raise ValueError(
            f"Argument `path` must end in {SUFFIX!r}. "
            f"Received: path={os.fspath(path)!r}"
        )
    return Path(path)
