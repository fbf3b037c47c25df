"""The Pareto front of the trials of a project."""

from collections.abc import Sequence

import numpy as np

from keras_netopt.search.reports.project import COSTS, Project, TrialRecord
from keras_netopt.search.sampling.pareto import front_ranks


def choose_front_metrics(
    project: Project, metrics: Sequence[str] | None
) -> tuple[str, ...]:
    """Returns the metrics of a Pareto front.

    `None` is all objectives and costs: a single name if there is only one.
    """
    known = project.metric_names()
    if metrics is None:
        others = dict.fromkeys((*project.further_objectives, *COSTS))
        others.pop(project.objective, None)
        return (project.objective, *(one for one in others if one in known))
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    unknown = [name for name in names if name not in known]
    if unknown or len(names) < 2:
        raise ValueError(
            "Argument `metrics` must name two or more metrics of the trials: "
            f"{', '.join(known) or 'there are none'}. "
            f"Received: metrics={metrics!r}"
        )
    return names


def pareto_front(project: Project, metrics: Sequence[str]) -> list[TrialRecord]:
    """Returns the non-dominated complete trials, best by the first metric."""
    signs = [
        1.0 if project.metric_direction(name) == "min" else -1.0
        for name in metrics
    ]
    points = []
    for trial in project.complete_trials():
        values = [trial.value(name) for name in metrics]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            costs = [s * v for s, v in zip(signs, known, strict=True)]
            points.append((costs, trial))
    points.sort(key=lambda point: point[0])
    scores = np.array([costs for costs, _ in points])
    ranks = front_ranks(scores.reshape(len(points), len(metrics)))
    return [
        trial
        for (_, trial), rank in zip(points, ranks.tolist(), strict=True)
        if rank == 0
    ]
