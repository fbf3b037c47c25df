"""The leaderboard of a search."""

import csv
import functools
import os
from dataclasses import dataclass
from typing import Any

from keras_netopt.files import write_aside
from keras_netopt.report import Report
from keras_netopt.search.reports.project import FOLDS, Project, TrialRecord
from keras_netopt.tables import count, render


@dataclass(frozen=True)
class Leaderboard(Report):
    """The trials of a project, best first.

    Trials that were not trained for all epochs are listed last and have no
    rank: their scores are not comparable. Trials that `confirm` has trained
    again, for all epochs, rank first, by the mean of their new seeds.

    Example:

    >>> from pathlib import Path
    >>> from keras_netopt.search.reports.project import TrialRecord
    >>> trials = (TrialRecord("0", "COMPLETED", 0.5, values={"units": 8}),
    ...           TrialRecord("1", "COMPLETED", 0.2, values={"units": 16}))
    >>> print(Leaderboard(Project(Path("tuning"), trials)))
    tuning: 2 trials, 2 complete; the lowest score is best
    ┏━━━━━━┳━━━━━━━┳━━━━━━━┳━━━━━━━━━━━━━━━━━┓
    ┃ rank ┃ trial ┃ score ┃ hyperparameters ┃
    ┡━━━━━━╇━━━━━━━╇━━━━━━━╇━━━━━━━━━━━━━━━━━┩
    │    1 │     1 │   0.2 │ units=16        │
    │    2 │     0 │   0.5 │ units=8         │
    └──────┴───────┴───────┴─────────────────┘

    Args:
        project: A project of `keras_netopt.search.read_project`.
        top: Number of trials to show, or `None` for all. Defaults to `None`.
    """

    project: Project
    top: int | None = None

    def __str__(self) -> str:
        trials = self.project.ranked()[: self.top]
        columns = self._columns(trials)
        shown = [
            (name, cells)
            for name, cells in columns.items()
            if name in ("trial", self.project.objective)
            or any(cell is not None for cell in cells)
        ]
        rows = [list(row) for row in zip(*(c for _, c in shown), strict=True)]
        table = render([name for name, _ in shown], rows, title=self._title())
        return "\n".join([table, *self._remarks(len(trials))])

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes all trials with their metrics and hyperparameters.

        Columns are `metric:name`, at the best step, and `hp:name`.

        Args:
            path: The CSV file.
        """
        project = self.project
        names = dict.fromkeys(n for t in project.trials for n in t.values)
        metrics = project.metric_names()
        with (
            write_aside(path) as partial,
            open(partial, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            head = ["rank", "trial", "status", "complete", "score", "std"]
            head += ["epochs", "stopped_epoch", "message"]
            head += [f"metric:{name}" for name in metrics]
            writer.writerow(head + [f"hp:{name}" for name in names])
            for trial, rank in self._ranks(project.ranked()):
                cells: list[Any] = [rank, trial.trial_id, trial.status]
                cells += [project.is_complete(trial), trial.score]
                cells += [project.spread(trial), trial.epochs, trial.stopped]
                cells += [trial.message, *map(trial.value, metrics)]
                writer.writerow(cells + [trial.values.get(n) for n in names])

    def _title(self) -> str:
        project = self.project
        best = "lowest" if project.direction == "min" else "highest"
        return (
            f"{project.path.name}: {count(len(project.trials), 'trial')}, "
            f"{len(project.complete_trials())} complete; the {best} "
            f"{project.objective} is best"
        )

    def _columns(self, trials: list[TrialRecord]) -> dict[str, list[Any]]:
        project = self.project
        return {
            "rank": [rank for _, rank in self._ranks(trials)],
            "trial": [trial.trial_id for trial in trials],
            project.objective: [trial.score for trial in trials],
            **{
                name: [trial.value(name) for trial in trials]
                for name in project.further_objectives
            },
            "± std": [project.spread(trial) for trial in trials],
            "new seeds": list(map(self._confirmed, trials)),
            "epochs": [trial.epochs for trial in trials],
            "note": [self.describe_state(trial) or None for trial in trials],
            "hyperparameters": [_list_parameters(trial) for trial in trials],
        }

    def _ranks(
        self, trials: list[TrialRecord]
    ) -> list[tuple[TrialRecord, int | None]]:
        project = self.project
        return [
            (trial, i + 1 if project.is_ranked(trial) else None)
            for i, trial in enumerate(trials)
        ]

    def _confirmed(self, trial: TrialRecord) -> str | None:
        found = self.project.confirmation.find(trial.trial_id)
        return None if found is None else found.describe()

    def describe_state(self, trial: TrialRecord) -> str:
        """Returns why a trial is not complete, or `""`."""
        if trial.status != "COMPLETED":
            reason = trial.message.strip().rpartition("\n")[2]
            return f"{trial.status}: {reason}" if reason else trial.status
        notes = []
        if not trial.is_scored:
            notes.append("no finite score")
        elif trial.stopped is not None:
            notes.append(f"stopped after epoch {trial.stopped}")
        elif not self.project.is_complete(trial):
            notes.append(f"{trial.epochs} of {self.project.full_epochs} epochs")
        folds, most = trial.value(FOLDS), self._most_folds
        if folds is not None and folds < most:
            notes.append(f"{folds:g} of {most:g} folds")
        return ", ".join(notes)

    @functools.cached_property
    def _most_folds(self) -> float:
        return max(
            (t.value(FOLDS) or 0.0 for t in self.project.trials), default=0.0
        )

    def _remarks(self, shown: int) -> list[str]:
        left = len(self.project.trials) - shown
        remarks = [f"{count(left, 'trial')} more."] if left else []
        if self.project.confirmation.rows:
            remarks.append(self.project.confirmation.remark)
        if self.project.end_reason:
            remarks.append(self.project.end_reason)
        unreadable = self.project.unreadable
        if unreadable:
            listed = "; ".join(f"{name}: {why}" for name, why in unreadable[:5])
            rest = ", ..." if len(unreadable) > 5 else ""
            number = count(len(unreadable), "file")
            remarks.append(f"{number} unreadable: {listed}{rest}")
        return remarks


def _list_parameters(trial: TrialRecord) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in trial.parameters.items()
    )
