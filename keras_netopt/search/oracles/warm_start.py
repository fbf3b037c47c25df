"""Reads the trials of another search."""

import glob
import os
import warnings
from collections.abc import Sequence
from typing import Any

from keras_netopt.search.oracles.observations import (
    FINISHED,
    STOPPED,
    STOPPED_METRIC,
    Observation,
    read_pairs,
    to_loss,
)
from keras_netopt.search.storage import read_json


def read_warm_start(
    source: Any, objective: str, direction: str
) -> list[Observation]:
    """Reads the completed trials of the argument `warm_start`, in order.

    The source is a project folder whose trials report the metric
    `objective`, a list of `(values, score)`, or `None`.
    """
    if source is None:
        return []
    if isinstance(source, str | os.PathLike):
        return _read_project(os.fspath(source), objective, direction)
    if not isinstance(source, Sequence):
        raise TypeError(
            "Argument `warm_start` must be a project folder or a list of "
            f"(values, score). Received: warm_start={source!r}"
        )
    return read_pairs(source, direction)


def _read_project(
    folder: str, objective: str, direction: str
) -> list[Observation]:
    found = []
    for path in sorted(glob.glob(os.path.join(folder, "trial_*/trial.json"))):
        try:
            trial = read_json(path)
            metrics = trial["metrics"]["metrics"]
            if trial["status"] != "COMPLETED" or objective not in metrics:
                continue
            found.append(_observation(trial, metrics, direction))
        except (KeyError, TypeError, ValueError) as error:
            warnings.warn(
                f"`warm_start` skips {path}, which cannot be read: {error!r}",
                stacklevel=4,
            )
    if not found:
        raise ValueError(
            "Argument `warm_start` must be a folder with completed trials "
            f"(trial_*/trial.json) that report {objective!r}. "
            f"Received: warm_start={folder!r}"
        )
    return found


def _observation(
    trial: dict[str, Any], metrics: dict[str, Any], direction: str
) -> Observation:
    values = {
        name: value
        for name, value in trial["hyperparameters"]["values"].items()
        if not name.startswith("tuner/")
    }
    score = to_loss(trial["score"], direction)
    if STOPPED_METRIC not in metrics:
        return Observation(values, score, FINISHED)
    epochs = metrics[STOPPED_METRIC]["observations"][-1]["value"][-1]
    return Observation(values, score, STOPPED, float(epochs))
