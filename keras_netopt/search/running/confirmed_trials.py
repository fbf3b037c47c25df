"""Scores with new seeds, among the metrics of a trial."""

from typing import Any

from keras_netopt.search.reports.confirmation import (
    Confirmation,
    rank_confirmed,
)


def confirmed_metric(seed: int, objective: str) -> str:
    """Returns the name of the metric of one new seed."""
    return f"confirm{seed}/{objective}"


def read_confirmation(
    trials: list[Any], objective: Any, seeds: int
) -> Confirmation:
    """Ranks those trials that were trained again with all new seeds."""
    names = [confirmed_metric(seed, objective.name) for seed in range(seeds)]
    scores = {
        trial.trial_id: [trial.metrics.get_last_value(name) for name in names]
        for trial in trials
        if all(map(trial.metrics.exists, names))
    }
    return rank_confirmed(scores, objective.direction)


def order_confirmed(trials: list[Any], objective: Any, seeds: int) -> list[Any]:
    """Puts the confirmed trials first, by their mean over new seeds."""
    rows = read_confirmation(trials, objective, seeds).rows
    places = {row.name: place for place, row in enumerate(rows)}
    return sorted(
        trials, key=lambda trial: places.get(trial.trial_id, len(places))
    )
