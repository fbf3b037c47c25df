"""Trials of another search, read without running it."""

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
    from_pairs,
    lower_is_better,
)
from keras_netopt.search.storage import read_json


def read_warm_start(
    source: Any, objective: str, direction: str
) -> list[Observation]:
    """Reads what `warm_start=` names.

    Args:
        source: A project directory of KerasTuner's or ours, a list of
            `(values, score)`, or `None`.
        objective: Name of the metric that scores.
        direction: "min" or "max".

    Returns:
        The completed trials, in the order of their names.

    Raises:
        TypeError: If `source` is none of these.
        ValueError: If the directory holds no trial with that metric.
    """
    if source is None:
        return []
    if isinstance(source, str | os.PathLike):
        return _read_project(os.fspath(source), objective, direction)
    if not isinstance(source, Sequence):
        raise TypeError(
            "Argument `warm_start` must be a project directory or a list of "
            f"(values, score). Received: warm_start={source!r}"
        )
    return from_pairs(source, direction)


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
                f"`warm_start` leaves out {path}, which cannot be read: "
                f"{error!r}",
                stacklevel=4,
            )
    if not found:
        raise ValueError(
            "Argument `warm_start` must be a directory with completed trials "
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
    score = lower_is_better(trial["score"], direction)
    if STOPPED_METRIC not in metrics:
        return Observation(values, score, FINISHED)
    epochs = metrics[STOPPED_METRIC]["observations"][-1]["value"][-1]
    return Observation(values, score, STOPPED, float(epochs))
