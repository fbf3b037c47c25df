"""Trains the best configurations of a search again, with new seeds."""

import copy
import dataclasses
import shutil
import statistics
from pathlib import Path
from typing import Any

import keras_tuner

from keras_netopt.checks import check_integer
from keras_netopt.search.reports.confirmation import Confirmation
from keras_netopt.search.reports.hyperparameter_record import INTERNAL
from keras_netopt.search.running.confirmed_trials import (
    choose_candidates,
    confirmed_metric,
    read_confirmation,
)
from keras_netopt.search.running.executions import iterate_executions
from keras_netopt.tables import count

EPOCHS = INTERNAL + "epochs"
PROMOTION = (INTERNAL + "trial_id", INTERNAL + "initial_epoch")


def check_confirm(
    best: int, seeds: int, oracle: Any, executor: Any, trains_itself: bool
) -> None:
    """Checks `confirm` and `confirm_seeds`; keeps trials of the oracle."""
    check_integer(best, "confirm", minimum=0)
    check_integer(seeds, "confirm_seeds", minimum=1)
    if not best:
        return
    received = f"Received: confirm={best}"
    if executor is not None:
        raise ValueError(
            "Argument `confirm` must be 0 with an `executor`: the new seeds "
            "are trained in this process. Remedy: search with the executor, "
            "then make the tuner again with `confirm` and without it. "
            f"{received}, executor={executor!r}"
        )
    if not trains_itself:
        raise ValueError(
            "Argument `confirm` must be 0 for a tuner that overrides "
            "`run_trial`, which decides its seeds itself. Override "
            f"`HyperModel.fit` instead. {received}"
        )
    if len(getattr(oracle, "objectives", ())) > 1:
        raise ValueError(
            "Argument `confirm` must be 0 for an oracle of several "
            f"objectives: it ranks by one. {received}, oracle="
            f"{type(oracle).__name__}"
        )
    if oracle.max_trials is None:
        return
    if oracle.max_trials < best * (seeds + 1):
        raise ValueError(
            f"Argument `max_trials` must be at least {best * (seeds + 1)}, "
            "`confirm` times `confirm_seeds` + 1: the new seeds are trained "
            "within it. "
            f"Received: max_trials={oracle.max_trials}, confirm={best}, "
            f"confirm_seeds={seeds}"
        )
    oracle.max_trials -= best * seeds


def describe_budget(best: int, seeds: int, oracle: Any) -> str:
    """Says how many trainings of a search are left for the new seeds."""
    kept = best * seeds
    if oracle.max_trials is None:
        return f"confirm: {kept} trainings with new seeds follow the search."
    return (
        f"confirm: {kept} of {oracle.max_trials + kept} trainings are kept "
        f"for {count(seeds, 'new seed')} of the {count(best, 'best trial')}; "
        "the search has "
        f"{oracle.max_trials}."
    )


def confirm_best(
    tuner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Confirmation:
    """Trains the best trials with new seeds, and ranks them.

    The arguments are those of `search`. A score is stored as soon as it is
    known; an interrupted call goes on behind the last one.
    """
    kwargs = dict(kwargs)
    callbacks = kwargs.pop("callbacks", None) or []
    proxy, name = tuner.proxy, tuner.oracle.objective.name
    for trial in choose_candidates(proxy, tuner.confirm):
        for seed in range(tuner.confirm_seeds):
            metric = confirmed_metric(seed, name)
            if trial.metrics.exists(metric):
                continue
            score = _train_again(tuner, trial, seed, callbacks, args, kwargs)
            proxy.store_metric(trial.trial_id, metric, score)
            folder = Path(tuner.get_trial_dir(trial.trial_id))
            for path in folder.glob(f"confirm{seed}*"):
                shutil.rmtree(path)
    trials = list(tuner.proxy.oracle.trials.values())
    objective = tuner.oracle.objective
    return read_confirmation(trials, objective)


def _train_again(
    tuner: Any,
    trial: Any,
    seed: int,
    callbacks: list[Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> float:
    """Returns the score of a trial's configuration with a new seed."""
    again = copy.copy(trial)
    trials = tuner.proxy.oracle.trials.values()
    longest = max(t.hyperparameters.values.get(EPOCHS, 0) for t in trials)
    again.hyperparameters = _from_scratch(trial.hyperparameters, longest)
    folder = Path(tuner.get_trial_dir(trial.trial_id))
    folds = 1 if tuner.folded is None else len(tuner.folded.splits)
    before = (seed + 1) * folds * tuner.executions_per_trial
    scores = []
    for one in iterate_executions(tuner.folded, tuner.executions_per_trial):
        # Executions behind the first one are not reported to the oracle.
        run = dataclasses.replace(
            one,
            name="/".join(filter(None, (f"confirm{seed}", one.name))),
            index=before + one.index,
        )
        own = folder / run.folder
        found = tuner.train_execution(again, run, callbacks, args, kwargs, own)
        scores.append(tuner.score_execution(found))
    return statistics.fmean(scores)


def _from_scratch(hp: keras_tuner.HyperParameters, epochs: int) -> Any:
    """Returns the configuration of a trial of Hyperband, trained in one go."""
    found = hp.copy()
    for name in PROMOTION:
        found.values.pop(name, None)
    if EPOCHS in found.values:
        found.values[EPOCHS] = epochs
    return found
