"""Reads the files of a search, and repairs what a kill left half done."""

import os
import warnings
from typing import Any

import keras_tuner

from keras_netopt.search.storage import read_json

Trial = keras_tuner.engine.trial.Trial
ENDED = ("COMPLETED", "FAILED")
UNREADABLE = "The file of this trial could not be read."
REMEDY = (
    "Remedy: another `project_name`, or `overwrite=True` to delete the "
    "project. "
)


def read_search(path: str) -> dict[str, Any]:
    """Reads `oracle.json`.

    Raises:
        ValueError: If it is missing or is not the state of an oracle; the
            trials stay in their folders.
    """
    try:
        state: dict[str, Any] = read_json(path)
        for name in ("hyperparameters", "start_order", "ongoing_trials"):
            state[name]
        state["hyperparameters"]["space"]
    except (IndexError, KeyError, OSError, TypeError, ValueError) as error:
        folder = os.path.dirname(path)
        raise ValueError(
            f"The state of the search cannot be read ({error!r}), and without "
            "it the search cannot go on. Its trials are still in their "
            f"folders: `search.leaderboard({folder!r})` lists them, and "
            f"`search.TPE(..., warm_start={folder!r})` learns from them. "
            f"{REMEDY}Received: {path}"
        ) from error
    return state


def read_trials(folder: str, names: list[str]) -> dict[str, Any]:
    """Reads trials by id; one without a readable file is INVALID."""
    return {name: _read_trial(folder, name) for name in names}


def _read_trial(folder: str, trial_id: str) -> Any:
    path = os.path.join(folder, f"trial_{trial_id}", "trial.json")
    try:
        return Trial.from_state(read_json(path))
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as e:
        warnings.warn(
            f"Trial {trial_id} is skipped: its file cannot be read "
            f"({e!r}): {path}. All other trials are kept.",
            stacklevel=6,
        )
        space = keras_tuner.HyperParameters()
        return Trial(space, trial_id, "INVALID", UNREADABLE)


def settle_trials(oracle: Any) -> None:
    """Completes ended trials and queues the running ones.

    Private names of keras-tuner 1.4.8: `_retry_queue` and `_run_times`.
    """
    names = dict.fromkeys(oracle._retry_queue)
    names.update((t.trial_id, None) for t in oracle.ongoing_trials.values())
    running = []
    # KerasTuner saves an ended trial as a running one.
    for name in [name for name in names if name not in oracle.end_order]:
        trial, waits = oracle.trials[name], name in oracle._retry_queue
        ended = trial.status in ENDED
        if not waits and (ended or trial.status == "INVALID"):
            # oracle.json was not written any more.
            oracle.update_space(trial.hyperparameters)
            oracle._run_times[name] += 1
        if ended or trial.message == UNREADABLE:
            oracle.end_order.append(name)
        else:
            running.append(name)
    oracle.ongoing_trials = {}
    # KerasTuner retries the last one first.
    oracle._retry_queue = sorted(running, reverse=True)
