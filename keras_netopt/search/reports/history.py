"""What a project folder of KerasTuner tells of a search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from keras_netopt.search.reports.space_record import INTERNAL, RecordedDimension
from keras_netopt.tables import render

STOPPED, FOLDS = "stopped_epoch", "folds_done"
COSTS = ("macs", "params", "bytes", "latency_ms")


@dataclass(frozen=True)
class TrialRecord:
    """What a folder tells of one trial.

    Example:

    >>> trial = TrialRecord("3", "COMPLETED", 0.2, best_step=1, metrics={
    ...     "val_loss": ("min", {0: 0.4, 1: 0.2}), "macs": ("min", {0: 9.0})})
    >>> trial.value("val_loss"), trial.value("macs"), trial.epochs
    (0.2, 9.0, 2)

    Args:
        trial_id: Its name in the project.
        status: "COMPLETED", "FAILED", "INVALID", "RUNNING" ...
        score: The number that the search compares, or `None`.
        best_step: The step of the score. Defaults to `None`.
        values: Hyperparameters by name, KerasTuner's own included. Defaults
            to none.
        metrics: By name a direction, "min" or "max", and the mean value at
            each step. Defaults to none.
        message: Why it failed. Defaults to "".
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
        """The hyperparameters without those that KerasTuner adds."""
        return {
            name: value
            for name, value in self.values.items()
            if not name.startswith(INTERNAL)
        }

    @property
    def is_scored(self) -> bool:
        """Whether it has ended with a number that can be compared."""
        finite = self.score is not None and math.isfinite(self.score)
        return finite and self.status == "COMPLETED"

    @property
    def stopped(self) -> int | None:
        """The epochs after which a stopper ended it, or `None`."""
        found = self.value(STOPPED)
        return None if found is None else int(found)

    @property
    def epochs(self) -> int | None:
        """Epochs trained, as far as the folder tells."""
        if self.stopped is not None:
            return self.stopped
        planned = self.values.get(INTERNAL + "epochs")
        if isinstance(planned, int):
            return planned
        # A lone report carries the step of the best epoch, not of the last.
        ends = [max(h) for _, h in self.metrics.values() if len(h) > 1]
        return max(ends) + 1 if ends else None

    def value(self, metric: str) -> float | None:
        """Returns a metric at the best step, or its last value."""
        _, history = self.metrics.get(metric, ("", {}))
        if not history:
            return None
        if self.best_step is not None and self.best_step in history:
            return history[self.best_step]
        return history[max(history)]


@dataclass(frozen=True)
class Project:
    """What a project folder holds.

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
        trials: Its trials in the order in which they were started.
        space: The hyperparameters that were searched. Defaults to `()`.
        objective: Name of the metric that is the score, or "score" where no
            metric is. Defaults to `"score"`.
        direction: "min" or "max". Defaults to `"min"`.
        broken: What could not be read: name and reason. Defaults to `()`.
    """

    path: Path
    trials: tuple[TrialRecord, ...]
    space: tuple[RecordedDimension, ...] = ()
    objective: str = "score"
    direction: str = "min"
    broken: tuple[tuple[str, str], ...] = ()

    @property
    def sign(self) -> float:
        """1.0 where smaller is better, -1.0 where larger is."""
        return 1.0 if self.direction == "min" else -1.0

    @property
    def full_epochs(self) -> int:
        """The epochs of the longest trial that has a score."""
        return max(
            (t.epochs or 0 for t in self.trials if t.is_scored), default=0
        )

    def is_full(self, trial: TrialRecord) -> bool:
        """Whether a trial was trained to its end, so that it compares.

        Trials that a stopper ended, and those of Hyperband's lower rungs,
        are not.
        """
        if not trial.is_scored or trial.stopped is not None:
            return False
        planned = trial.values.get(INTERNAL + "epochs")
        return not isinstance(planned, int) or planned >= self.full_epochs

    def full(self) -> list[TrialRecord]:
        """Lists the trials whose scores compare, in order of their start."""
        return [trial for trial in self.trials if self.is_full(trial)]

    def ranked(self) -> list[TrialRecord]:
        """Lists all trials: full ones by score, stopped ones, the rest.

        Those that were stopped come by the epochs that they lasted.
        """
        return sorted(self.trials, key=self._place)

    def best_by(self, parameter: str) -> str:
        """Compares the values of one hyperparameter, each at its best.

        Args:
            parameter: Its name; numbers are taken one by one, too.

        Returns:
            A table: the value, how many full trials had it, the best of
            their scores and the median.

        Raises:
            ValueError: If no full trial has such a hyperparameter.
        """
        scores: dict[Any, list[float]] = {}
        for trial in self.full():
            if parameter in trial.parameters:
                found = scores.setdefault(trial.parameters[parameter], [])
                found.append(trial.score or 0.0)
        if not scores:
            names = dict.fromkeys(n for t in self.full() for n in t.parameters)
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
        """Returns the standard deviation over the folds, or `None`."""
        return trial.value(f"{self.objective}_std")

    def metric_direction(self, metric: str) -> str:
        """Returns "min" or "max" for a metric of the project."""
        for trial in self.trials:
            if metric in trial.metrics:
                return trial.metrics[metric][0]
        return "min"

    def metric_names(self) -> list[str]:
        """Lists the metrics of all trials, in order of appearance."""
        return list(dict.fromkeys(m for t in self.trials for m in t.metrics))

    def _place(self, trial: TrialRecord) -> tuple[int, int, float]:
        score = self.sign * (trial.score or 0.0) if trial.is_scored else 0.0
        if self.is_full(trial):
            return 0, 0, score
        if trial.is_scored:
            return 1, -(trial.epochs or 0), score
        return 2, 0, 0.0
