"""The Pareto front of the trials of a project."""

from collections.abc import Sequence

from keras_netopt.search.reports.project import COSTS, Project, TrialRecord


def choose_front_metrics(
    project: Project, metrics: Sequence[str] | None
) -> tuple[str, ...]:
    """Chooses the metrics of a Pareto front.

    Args:
        project: A project of `keras_netopt.search.read_project`.
        metrics: Names of metrics, or `None` for the objective and all costs.

    Returns:
        The names; a single one if there are no costs.

    Raises:
        ValueError: If a metric is unknown, or fewer than two are given.
    """
    known = project.metric_names()
    if metrics is None:
        return (project.objective, *(c for c in COSTS if c in known))
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
    """Returns the non-dominated complete trials.

    Example:

    >>> from pathlib import Path
    >>> trials = tuple(
    ...     TrialRecord(name, "COMPLETED", loss, metrics={
    ...         "val_loss": ("min", {0: loss}), "macs": ("min", {0: macs})})
    ...     for name, loss, macs in
    ...     (("a", 0.1, 9.0), ("b", 0.3, 2.0), ("c", 0.4, 3.0)))
    >>> project = Project(Path("p"), trials, objective="val_loss")
    >>> metrics = ("val_loss", "macs")
    >>> [trial.trial_id for trial in pareto_front(project, metrics)]
    ['a', 'b']

    Args:
        project: A project of `keras_netopt.search.read_project`.
        metrics: Names of metrics; the project holds their directions.

    Returns:
        The trials by the first metric, best first.
    """
    signs = [
        1.0 if project.metric_direction(name) == "min" else -1.0
        for name in metrics
    ]
    points = []
    for trial in project.complete_trials():
        values = [_at(trial, name) for name in metrics]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            costs = [s * v for s, v in zip(signs, known, strict=True)]
            points.append((costs, trial))
    kept = [
        (costs, trial)
        for costs, trial in points
        if not any(_dominates(other, costs) for other, _ in points)
    ]
    kept.sort(key=lambda point: point[0])
    return [trial for _, trial in kept]


def _at(trial: TrialRecord, name: str) -> float | None:
    return trial.score if name == "score" else trial.value(name)


def _dominates(one: list[float], other: list[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
