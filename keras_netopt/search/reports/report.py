"""What a search has found, read from the folder of any KerasTuner project."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_netopt.checks import check_integer
from keras_netopt.search.reports.effects import effects, effects_table
from keras_netopt.search.reports.files import load
from keras_netopt.search.reports.history import Project
from keras_netopt.search.reports.pareto import front, front_metrics
from keras_netopt.search.reports.ranking import Leaderboard
from keras_netopt.tables import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Path_ = str | os.PathLike[str]


@dataclass(frozen=True)
class SearchPictures:
    """The pictures of a search, or tables of the same where there are none.

    Notebooks show the pictures; `print` shows the tables.

    Args:
        text: The tables.
        figures: By name "history", "coordinates", "importance", "slice",
            "pareto" and "timeline"; empty without matplotlib.
    """

    text: str
    figures: "dict[str, Figure]"

    def __str__(self) -> str:
        return self.text

    def save(self, folder: Path_) -> list[Path]:
        """Writes every picture as a PNG file, and the tables as text.

        Args:
            folder: Where to; it is made where it is missing.

        Returns:
            The files.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, figure in self.figures.items():
            paths.append(target / f"{name}.png")
            figure.savefig(paths[-1], dpi=150, facecolor="white")
        paths.append(target / "tables.txt")
        paths[-1].write_text(self.text + "\n", encoding="utf-8")
        return paths

    def _repr_html_(self) -> str:
        shown = []
        for figure in self.figures.values():
            data: Any = figure
            code = base64.b64encode(data._repr_png_()).decode()
            shown.append(f'<img src="data:image/png;base64,{code}">')
        return "\n".join(shown) or f"<pre>{self.text}</pre>"


def read(directory: Path_, *, objective: str | None = None) -> Project:
    """Reads the folder of a KerasTuner project, whoever wrote it.

    KerasTuner itself is not needed, nor the code of the search. Files that
    are missing or half written are counted and left out.

    Example:

    >>> import json, pathlib
    >>> import keras_netopt as netopt
    >>> for i, loss in enumerate([0.5, 0.2]):
    ...     folder = pathlib.Path(f"tuning/trial_{i}")
    ...     folder.mkdir(parents=True)
    ...     seen = {"direction": "min",
    ...             "observations": [{"value": [loss], "step": 0}]}
    ...     _ = (folder / "trial.json").write_text(json.dumps({
    ...         "trial_id": f"{i}", "status": "COMPLETED", "score": loss,
    ...         "best_step": 0, "message": None,
    ...         "hyperparameters": {"space": [], "values": {"units": 8 << i}},
    ...         "metrics": {"metrics": {"val_loss": seen}}}))
    >>> project = netopt.search.read("tuning")
    >>> project.objective, project.ranked()[0].parameters
    ('val_loss', {'units': 16})
    >>> project.broken
    (('oracle.json', 'missing'),)

    Args:
        directory: The project folder: `directory/project_name` of the tuner.
        objective: The metric to take as the score. Defaults to `None`: the
            metric that is the score of all trials.

    Returns:
        A `Project` with `trials`, `space`, `ranked()`, `full()` and
        `best_by(parameter)`.

    Raises:
        TypeError: If `directory` is no path.
        ValueError: If `directory` is no project, or no trial has `objective`.
    """
    return load(directory, objective)


def leaderboard(
    directory: Path_, *, top: int | None = None, objective: str | None = None
) -> Leaderboard:
    """Lists the trials of any KerasTuner project, best first.

    Trials that were stopped, and those of Hyperband's lower rungs, stand
    below the others and say so: their scores do not compare.

    Example:

    >>> import json, pathlib
    >>> import keras_netopt as netopt
    >>> folder = pathlib.Path("board/trial_0")
    >>> folder.mkdir(parents=True)
    >>> _ = (folder / "trial.json").write_text(json.dumps({
    ...     "trial_id": "0", "status": "COMPLETED", "score": 0.5,
    ...     "best_step": 0, "hyperparameters": {"values": {"units": 8}}}))
    >>> print(netopt.search.leaderboard("board"))
    board: 1 trial, 1 with a full score; the lowest score is best
    ┏━━━━━━┳━━━━━━━┳━━━━━━━┳━━━━━━━━━━━━━━━━━┓
    ┃ rank ┃ trial ┃ score ┃ hyperparameters ┃
    ┡━━━━━━╇━━━━━━━╇━━━━━━━╇━━━━━━━━━━━━━━━━━┩
    │    1 │     0 │   0.5 │ units=8         │
    └──────┴───────┴───────┴─────────────────┘
    1 file left out: oracle.json: missing
    >>> netopt.search.leaderboard("board").to_csv("trials.csv")

    Args:
        directory: The project folder: `directory/project_name` of the tuner.
        top: How many trials to show, at least 1. Defaults to `None`: all.
        objective: The metric to rank by, at the best step of each trial.
            Defaults to `None`: the score.

    Returns:
        A table to print, with `to_csv(path)`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `directory` is no project, no trial has `objective`,
            or `top` is below 1.
    """
    if top is not None:
        top = check_integer(top, "top", minimum=1)
    return Leaderboard(load(directory, objective), top)


def plots(
    directory: Path_,
    *,
    objective: str | None = None,
    metrics: Sequence[str] | None = None,
    folder: Path_ | None = None,
) -> SearchPictures:
    """Draws what a search has learned, from any KerasTuner project.

    The history with the best score so far; parallel coordinates; importance
    (main effects only) and slices of each hyperparameter; the Pareto front of
    several metrics; how long each trial lasted. Without matplotlib there are
    tables of the same.

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
    seen: 1 trial, 1 with a full score; the lowest score is best
    ...

    Args:
        directory: The project folder: `directory/project_name` of the tuner.
        objective: The metric to take as the score. Defaults to `None`: the
            score.
        metrics: Two or more metrics of the Pareto front. Defaults to `None`:
            the objective and the costs ("macs", "params", "bytes",
            "latency_ms") that the trials hold.
        folder: Where to write the pictures. Defaults to `None`: nowhere.

    Returns:
        The pictures by name in `figures`, and tables to print.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `directory` is no project, or no trial has `objective`
            or one of `metrics`.
    """
    if folder is not None and not isinstance(folder, str | os.PathLike):
        raise TypeError(
            "Argument `folder` must be a path or None. "
            f"Received: folder={folder!r}"
        )
    project = load(directory, objective)
    names = front_metrics(project, metrics)
    pictures = SearchPictures(_tables(project, names), _figures(project, names))
    if folder is not None:
        pictures.save(folder)
    return pictures


def _figures(project: Project, metrics: Sequence[str]) -> "dict[str, Figure]":
    from keras_netopt.plots import search as draw

    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return {}
    found = {"history": draw.search_history(project)}
    if project.space and project.full():
        found["coordinates"] = draw.parallel_coordinates(project)
        found["slice"] = draw.slices(project)
    importance = effects(project)
    if importance:
        found["importance"] = draw.importance_bars(importance)
    if len(metrics) > 1:
        chosen = front(project, metrics)
        found["pareto"] = draw.pareto_front(project, chosen, metrics)
    if any(trial.epochs for trial in project.trials):
        found["timeline"] = draw.trial_timeline(project)
    return found


def _tables(project: Project, metrics: Sequence[str]) -> str:
    parts = [str(Leaderboard(project)), _history(project)]
    importance = effects(project)
    if importance:
        parts.append(effects_table(importance, project.objective))
    if len(metrics) > 1:
        parts.append(_front(project, metrics))
    survival = _survival(project)
    return "\n\n".join([*parts, *([survival] if survival else [])])


def _history(project: Project) -> str:
    rows: list[list[Any]] = []
    best: float | None = None
    for trial in project.full():
        score = trial.score or 0.0
        if best is None or project.sign * score < project.sign * best:
            best = score
            rows.append(
                [project.trials.index(trial) + 1, trial.trial_id, score]
            )
    headers = ["after trials", "trial", project.objective]
    return render(headers, rows, title="Best so far, of full trials")


def _front(project: Project, metrics: Sequence[str]) -> str:
    rows = [
        [
            trial.trial_id,
            *(trial.score if m == "score" else trial.value(m) for m in metrics),
        ]
        for trial in front(project, metrics)
    ]
    return render(["trial", *metrics], rows, title="Pareto front, full trials")


def _survival(project: Project) -> str:
    lasted = [trial.epochs for trial in project.trials if trial.epochs]
    if not lasted:
        return ""
    ends = sorted(set(lasted))
    rows = [[epoch, sum(e >= epoch for e in lasted)] for epoch in ends]
    return render(["epoch", "trials that got there"], rows)
