"""The trials of a project folder."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from keras_netopt.search.reports.confirmation import (
    Confirmation,
    confirmed_pattern,
    rank_confirmed,
)
from keras_netopt.search.reports.hyperparameter_record import (
    INTERNAL,
    HyperparameterRecord,
)
from keras_netopt.tables import render

STOPPED, FOLDS = "stopped_epoch", "folds_done"
COSTS = ("macs", "params", "bytes", "latency_ms")


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a project.

    Example:

    >>> trial = TrialRecord("3", "COMPLETED", 0.2, best_step=1, metrics={
    ...     "val_loss": ("min", {0: 0.4, 1: 0.2}), "macs": ("min", {0: 9.0})})
    >>> trial.value("val_loss"), trial.value("macs"), trial.epochs
    (0.2, 9.0, 2)

    Args:
        trial_id: Id of the trial.
        status: "COMPLETED", "FAILED", "INVALID", "RUNNING" ...
        score: The score, or `None`.
        best_step: Step of the score. Defaults to `None`.
        values: Hyperparameters by name, KerasTuner's own included. Defaults
            to `{}`.
        metrics: Direction ("min" or "max") and mean value at each step, by
            name. Defaults to `{}`.
        message: Error of a failed trial. Defaults to `""`.
    """

    trial_id: str
    status: str
    score: float | None
    best_step: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, tuple[str, Mapping[int, float]]] = field(
        default_factory=dict
    )
    message: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """The hyperparameters without KerasTuner's own."""
        return {
            name: value
            for name, value in self.values.items()
            if not name.startswith(INTERNAL)
        }

    @property
    def is_scored(self) -> bool:
        """Whether the trial is completed with a finite score."""
        finite = self.score is not None and math.isfinite(self.score)
        return finite and self.status == "COMPLETED"

    @property
    def stopped(self) -> int | None:
        """The epoch at which a stopper ended the trial, or `None`."""
        found = self.value(STOPPED)
        return None if found is None else int(found)

    @property
    def epochs(self) -> int | None:
        """Number of epochs trained, `None` if unknown."""
        if self.stopped is not None:
            return self.stopped
        planned = self.values.get(INTERNAL + "epochs")
        if isinstance(planned, int):
            return planned
        # The step of a single report is the best epoch, not the last one.
        ends = [max(h) for _, h in self.metrics.values() if len(h) > 1]
        return max(ends) + 1 if ends else None

    def value(self, metric: str) -> float | None:
        """Returns a metric at the best step, else its last value.

        "score" is the score, unless a metric has that name.
        """
        _, history = self.metrics.get(metric, ("", {}))
        if not history:
            return self.score if metric == "score" else None
        if self.best_step is not None and self.best_step in history:
            return history[self.best_step]
        return history[max(history)]


@dataclass(frozen=True)
class Project:
    """The content of a project folder.

    Example:

    >>> project = Project(Path("tuning"), (
    ...     TrialRecord("0", "COMPLETED", 0.5),
    ...     TrialRecord("1", "COMPLETED", 0.2),
    ...     TrialRecord("2", "FAILED", None),
    ... ))
    >>> [trial.trial_id for trial in project.ranked()]
    ['1', '0', '2']

    Args:
        path: The folder.
        trials: The trials in the order of their start.
        space: The hyperparameters. Defaults to `()`.
        objective: Name of the metric of the score, or "score" if no metric
            matches. Defaults to `"score"`.
        direction: "min" or "max". Defaults to `"min"`.
        unreadable: Names of unreadable files, and why. Defaults to `()`.
        end_reason: Why a search ended before its last trial. Defaults to
            `""`.
        further_objectives: Names of the metrics of `search.NSGA2` behind the
            first one. Defaults to `()`.
    """

    path: Path
    trials: tuple[TrialRecord, ...]
    space: tuple[HyperparameterRecord, ...] = ()
    objective: str = "score"
    direction: str = "min"
    unreadable: tuple[tuple[str, str], ...] = ()
    end_reason: str = ""
    further_objectives: tuple[str, ...] = ()

    @property
    def sign(self) -> float:
        """1.0 if lower is better, -1.0 if higher is better."""
        return 1.0 if self.direction == "min" else -1.0

    @functools.cached_property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the trials: their ids, or else their places."""
        ids = [trial.trial_id for trial in self.trials]
        if all(one.isdecimal() for one in ids):
            return tuple(map(int, ids))
        return tuple(range(len(ids)))

    @functools.cached_property
    def full_epochs(self) -> int:
        """Epochs of the longest trial with a score."""
        return max(
            (t.epochs or 0 for t in self.trials if t.is_scored), default=0
        )

    @functools.cached_property
    def confirmation(self) -> Confirmation:
        """The trials that were trained again with all new seeds, ranked."""
        pattern = confirmed_pattern(self.objective)
        seeds = list(filter(pattern.fullmatch, self.metric_names()))
        scores = {
            trial.trial_id: [
                value for value in map(trial.value, seeds) if value is not None
            ]
            for trial in self.trials
        }
        whole = {k: v for k, v in scores.items() if v and len(v) == len(seeds)}
        return rank_confirmed(whole, self.direction)

    def is_complete(self, trial: TrialRecord) -> bool:
        """Returns whether a trial was trained for all epochs.

        Stopped trials and the lower rungs of Hyperband were not: their
        scores are not comparable.
        """
        if not trial.is_scored or trial.stopped is not None:
            return False
        planned = trial.values.get(INTERNAL + "epochs")
        return not isinstance(planned, int) or planned >= self.full_epochs

    def is_ranked(self, trial: TrialRecord) -> bool:
        """Returns whether a trial has a rank: complete or confirmed ones."""
        confirmed = self.confirmation.find(trial.trial_id) is not None
        return confirmed or self.is_complete(trial)

    def complete_trials(self) -> list[TrialRecord]:
        """Returns the complete trials in the order of their start."""
        return [trial for trial in self.trials if self.is_complete(trial)]

    def ranked(self) -> list[TrialRecord]:
        """Returns all trials: confirmed, complete, stopped, then others.

        Confirmed trials are sorted by the mean of their new seeds, other
        complete trials by score, stopped trials by epochs.
        """
        confirmed = [row.name for row in self.confirmation.rows]
        trials = sorted(self.trials, key=self._place)
        first = {name: place for place, name in enumerate(confirmed)}
        return sorted(trials, key=lambda t: first.get(t.trial_id, len(first)))

    def best_by(self, parameter: str) -> str:
        """Compares the values of one hyperparameter by their best scores.

        Args:
            parameter: Name of the hyperparameter.

        Returns:
            A table of value, number of complete trials, best and median
            score.

        Raises:
            ValueError: If no complete trial has such a hyperparameter.
        """
        scores: dict[Any, list[float]] = {}
        for trial in self.complete_trials():
            if parameter in trial.parameters:
                found = scores.setdefault(trial.parameters[parameter], [])
                found.append(trial.score or 0.0)
        if not scores:
            names = dict.fromkeys(
                n for t in self.complete_trials() for n in t.parameters
            )
            raise ValueError(
                "Argument `parameter` must be a hyperparameter of the trials: "
                f"{', '.join(names) or 'there is none'}. "
                f"Received: parameter={parameter!r}"
            )
        best = min if self.direction == "min" else max
        order = sorted(scores, key=lambda v: self.sign * best(scores[v]))
        rows = [
            [str(v), len(scores[v]), best(scores[v]), median(scores[v])]
            for v in order
        ]
        headers = [parameter, "trials", f"best {self.objective}", "median"]
        return render(headers, rows)

    def spread(self, trial: TrialRecord) -> float | None:
        """Returns the standard deviation over executions, or `None`."""
        return trial.value(f"{self.objective}_std")

    def metric_direction(self, metric: str) -> str:
        """Returns "min" or "max" for a metric of the project."""
        for trial in self.trials:
            if metric in trial.metrics:
                return trial.metrics[metric][0]
        return "min"

    def metric_names(self) -> list[str]:
        """Returns the metrics of all trials, in order of appearance."""
        return list(dict.fromkeys(m for t in self.trials for m in t.metrics))

    def _place(self, trial: TrialRecord) -> tuple[int, int, float]:
        score = self.sign * (trial.score or 0.0) if trial.is_scored else 0.0
        if self.is_complete(trial):
            return 0, 0, score
        if trial.is_scored:
            return 1, -(trial.epochs or 0), score
        return 2, 0, 0.0
