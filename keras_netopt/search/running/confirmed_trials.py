"""Scores with new seeds, among the metrics of a trial."""

from typing import Any

from keras_netopt.search.reports.confirmation import (
    Confirmation,
    confirmed_pattern,
    rank_confirmed,
)
from keras_netopt.search.reports.hyperparameter_record import INTERNAL
from keras_netopt.search.running.trial_rank import has_finite_score


def confirmed_metric(seed: int, objective: str) -> str:
    """Returns the name of the metric of one new seed."""
    return f"confirm{seed}/{objective}"


def choose_candidates(proxy: Any, number: int) -> list[Any]:
    """Returns the best trials; of one configuration only the best one.

    Hyperband promotes a configuration from trial to trial.
    """
    chosen: list[Any] = []
    known: list[dict[str, Any]] = []
    for trial in proxy.rank_searched(len(proxy.oracle.trials)):
        held = trial.hyperparameters.values
        values = {k: v for k, v in held.items() if not k.startswith(INTERNAL)}
        if len(chosen) < number and values not in known:
            if has_finite_score(trial):
                chosen.append(trial)
                known.append(values)
    return chosen


def read_confirmation(trials: list[Any], objective: Any) -> Confirmation:
    """Ranks those trials that were trained again with all new seeds."""
    pattern = confirmed_pattern(objective.name)
    held = dict.fromkeys(name for t in trials for name in t.metrics.metrics)
    names = list(filter(pattern.fullmatch, held))
    scores = {
        trial.trial_id: [trial.metrics.get_last_value(name) for name in names]
        for trial in trials
        if names and all(map(trial.metrics.exists, names))
    }
    return rank_confirmed(scores, objective.direction)


def order_confirmed(trials: list[Any], objective: Any) -> list[Any]:
    """Puts the confirmed trials first, by their mean over new seeds."""
    rows = read_confirmation(trials, objective).rows
    places = {row.name: place for place, row in enumerate(rows)}
    return sorted(
        trials, key=lambda trial: places.get(trial.trial_id, len(places))
    )
