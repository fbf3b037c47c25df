"""Reports on the project folder of any KerasTuner search."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_netopt.checks import check_integer
from keras_netopt.files import write_aside
from keras_netopt.plots.style import save_figure
from keras_netopt.report import Report, as_plain
from keras_netopt.search.reports.leaderboard import Leaderboard
from keras_netopt.search.reports.main_effects import (
    explain_missing,
    main_effects,
    render_main_effects,
)
from keras_netopt.search.reports.pareto_front import (
    choose_front_metrics,
    pareto_front,
)
from keras_netopt.search.reports.project import Project
from keras_netopt.search.reports.project_reader import read_project
from keras_netopt.tables import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Path_ = str | os.PathLike[str]
# Trials in the tables of `plots`; `leaderboard` lists all.
TOP = 100


@dataclass(frozen=True)
class SearchPictures(Report):
    """Pictures and tables of a search.

    Notebooks show the pictures, or the tables without matplotlib; `print`
    shows the tables.

    Args:
        text: The tables.
        figures: "history", "coordinates", "importance", "slice", "pareto" and
            "timeline", by name; empty without matplotlib.
    """

    text: str
    figures: "dict[str, Figure]"

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Returns the tables and the names of the pictures."""
        return {"text": self.text, "figures": as_plain(list(self.figures))}

    def save(self, folder: Path_) -> list[Path]:
        """Saves each picture as a PNG file, and the tables as text.

        Args:
            folder: Folder of the files; created if it does not exist.

        Returns:
            The files.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, figure in self.figures.items():
            paths.append(target / f"{name}.png")
            save_figure(figure, paths[-1])
        paths.append(target / "tables.txt")
        with write_aside(paths[-1]) as partial:
            Path(partial).write_text(self.text + "\n", encoding="utf-8")
        return paths

    def _repr_html_(self) -> str:
        shown = []
        for figure in self.figures.values():
            data: Any = figure
            code = base64.b64encode(data._repr_png_()).decode()
            shown.append(f'<img src="data:image/png;base64,{code}">')
        return "\n".join(shown) or f"<pre>{self.text}</pre>"


def leaderboard(
    directory: Path_, *, top: int | None = None, objective: str | None = None
) -> Leaderboard:
    """Ranks the trials of any KerasTuner project.

    Stopped trials and the lower rungs of Hyperband are marked and listed
    last: their scores are not comparable.

    Example:

    >>> import json, pathlib
    >>> import keras_netopt as netopt
    >>> folder = pathlib.Path("board/trial_0")
    >>> folder.mkdir(parents=True)
    >>> _ = (folder / "trial.json").write_text(json.dumps({
    ...     "trial_id": "0", "status": "COMPLETED", "score": 0.5,
    ...     "best_step": 0, "hyperparameters": {"values": {"units": 8}}}))
    >>> print(netopt.search.leaderboard("board"))
    board: 1 trial, 1 complete; the lowest score is best
    ┏━━━━━━┳━━━━━━━┳━━━━━━━┳━━━━━━━━━━━━━━━━━┓
    ┃ rank ┃ trial ┃ score ┃ hyperparameters ┃
    ┡━━━━━━╇━━━━━━━╇━━━━━━━╇━━━━━━━━━━━━━━━━━┩
    │    1 │     0 │   0.5 │ units=8         │
    └──────┴───────┴───────┴─────────────────┘
    1 file unreadable: oracle.json: missing
    >>> netopt.search.leaderboard("board").to_csv("trials.csv")

    Args:
        directory: The project folder: `directory/project_name` of the tuner.
        top: Number of trials to show, at least 1. Defaults to `None`: all.
        objective: The metric to rank by, at the best step. Defaults to
            `None`: the score.

    Returns:
        A report with `to_csv(path)`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `directory` is not a project, no trial has
            `objective`, or `top` is below 1.
    """
    if top is not None:
        top = check_integer(top, "top", minimum=1)
    return Leaderboard(read_project(directory, objective=objective), top)


def plots(
    directory: Path_,
    *,
    objective: str | None = None,
    metrics: Sequence[str] | None = None,
    folder: Path_ | None = None,
) -> SearchPictures:
    """Draws the results of any KerasTuner project.

    The history with the best score so far; parallel coordinates; importance
    (main effects) and slices of the hyperparameters; the Pareto front of
    several metrics; the epochs of each trial. Without matplotlib the report
    has tables only. The first table lists the best 100 trials; `leaderboard`
    lists all.

    Example:

    >>> import json, pathlib
    >>> import keras_netopt as netopt
    >>> folder = pathlib.Path("seen/trial_0")
    >>> folder.mkdir(parents=True)
    >>> _ = (folder / "trial.json").write_text(json.dumps({
    ...     "trial_id": "0", "status": "COMPLETED", "score": 0.5,
    ...     "best_step": 0, "hyperparameters": {"values": {"units": 8}}}))
    >>> pictures = netopt.search.plots("seen", folder="pictures")
    >>> print(pictures)
    seen: 1 trial, 1 complete; the lowest score is best
    ...

    Args:
        directory: The project folder: `directory/project_name` of the tuner.
        objective: The metric to use as the score. Defaults to `None`: the
            score.
        metrics: Two or more metrics of the Pareto front. Defaults to `None`:
            the objectives and the costs ("macs", "params", "bytes",
            "latency_ms") of the trials.
        folder: Folder in which to save the pictures. Defaults to `None`:
            they are not saved.

    Returns:
        A report with the pictures by name in `figures`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `directory` is not a project, or no trial has
            `objective` or one of `metrics`.
    """
    if folder is not None and not isinstance(folder, str | os.PathLike):
        raise TypeError(
            "Argument `folder` must be a path or None. "
            f"Received: folder={folder!r}"
        )
    project = read_project(directory, objective=objective)
    names = choose_front_metrics(project, metrics)
    pictures = SearchPictures(_tables(project, names), _figures(project, names))
    if folder is not None:
        pictures.save(folder)
    return pictures


def _figures(project: Project, metrics: Sequence[str]) -> "dict[str, Figure]":
    from keras_netopt import plots as draw

    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return {}
    found = {"history": draw.search_history(project)}
    if project.space and project.complete_trials():
        found["coordinates"] = draw.parallel_coordinates(project)
        found["slice"] = draw.slices(project)
    importance = main_effects(project)
    if importance:
        found["importance"] = draw.importance_bars(importance)
    if len(metrics) > 1:
        chosen = pareto_front(project, metrics)
        found["pareto"] = draw.pareto_front(project, chosen, metrics)
    if any(trial.epochs for trial in project.trials):
        found["timeline"] = draw.trial_timeline(project)
    return found


def _tables(project: Project, metrics: Sequence[str]) -> str:
    parts = [str(Leaderboard(project, TOP)), _history(project)]
    importance = main_effects(project)
    if importance:
        parts.append(render_main_effects(importance, project.objective))
    missing = explain_missing(project)
    if missing is not None:
        parts.append(missing)
    if len(metrics) > 1:
        parts.append(_front(project, metrics))
    survival = _survival(project)
    return "\n\n".join([*parts, *([survival] if survival else [])])


def _history(project: Project) -> str:
    rows: list[list[Any]] = []
    best: float | None = None
    for place, trial in enumerate(project.trials, 1):
        score = trial.score or 0.0
        if not project.is_complete(trial):
            continue
        if best is None or project.sign * score < project.sign * best:
            best = score
            rows.append([place, trial.trial_id, score])
    headers = ["after trials", "trial", project.objective]
    return render(headers, rows, title="Best score so far, complete trials")


def _front(project: Project, metrics: Sequence[str]) -> str:
    rows = [
        [
            trial.trial_id,
            *(trial.value(metric) for metric in metrics),
        ]
        for trial in pareto_front(project, metrics)
    ]
    return render(
        ["trial", *metrics], rows, title="Pareto front, complete trials"
    )


def _survival(project: Project) -> str:
    lasted = [trial.epochs for trial in project.trials if trial.epochs]
    if not lasted:
        return ""
    ends = sorted(set(lasted))
    rows = [[epoch, sum(e >= epoch for e in lasted)] for epoch in ends]
    return render(["epoch", "trials that reached it"], rows)
