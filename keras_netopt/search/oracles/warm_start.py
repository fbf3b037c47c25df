"""Reads the trials of another search."""

import dataclasses
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
from keras_netopt.search.oracles.promoted_trials import EPOCHS, join_promoted
from keras_netopt.search.oracles.rung_values import read_curve
from keras_netopt.search.oracles.saved_search import Trial
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
    trials = []
    for path in sorted(glob.glob(os.path.join(folder, "trial_*/trial.json"))):
        try:
            trial = read_json(path)
            metrics = trial["metrics"]["metrics"]
            if trial["status"] != "COMPLETED" or objective not in metrics:
                continue
            found = _observation(trial, metrics, objective, direction)
            trials.append((trial["trial_id"], found))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            warnings.warn(
                f"`warm_start` skips {path}, which cannot be read: {error!r}",
                stacklevel=4,
            )
    if not trials:
        raise ValueError(
            "Argument `warm_start` must be a folder with completed trials "
            f"(trial_*/trial.json) that report {objective!r}. "
            f"Received: warm_start={folder!r}"
        )
    # Trials of the lower rungs of Hyperband were not trained in full.
    epochs = [one.values.get(EPOCHS, 0) for _, one in trials]
    joined = join_promoted(trials, max(_read_max_epochs(folder), *epochs, 0))
    return [
        dataclasses.replace(
            one,
            values={
                name: value
                for name, value in one.values.items()
                if not name.startswith("tuner/")
            },
        )
        for one in joined
    ]


def _read_max_epochs(folder: str) -> float:
    """Returns the epochs of a complete trial of Hyperband, 0 if unknown."""
    path = os.path.join(folder, "oracle.json")
    try:
        state = read_json(path)
        settings = state.get("search") or state
        return float(settings.get("max_epochs", 0))
    except (AttributeError, OSError, TypeError, ValueError):
        return 0.0  # The longest trial tells.


def _observation(
    trial: dict[str, Any],
    metrics: dict[str, Any],
    objective: str,
    direction: str,
) -> Observation:
    values = trial["hyperparameters"]["values"]
    score = to_loss(trial["score"], direction)
    tracker = Trial.from_state(trial).metrics
    curve = read_curve(tracker, objective, direction)
    if STOPPED_METRIC not in metrics:
        return Observation(values, score, FINISHED, curve=curve)
    epochs = metrics[STOPPED_METRIC]["observations"][-1]["value"][-1]
    return Observation(values, score, STOPPED, float(epochs), curve)
