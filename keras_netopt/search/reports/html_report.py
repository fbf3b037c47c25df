"""A page of a search that opens in any browser."""

import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_netopt.files import write_aside
from keras_netopt.plots.search_page import show_value
from keras_netopt.search.reports.leaderboard import Leaderboard
from keras_netopt.search.reports.main_effects import (
    explain_missing,
    main_effects,
)
from keras_netopt.search.reports.pareto_front import (
    choose_front_metrics,
    pareto_front,
)
from keras_netopt.search.reports.project import Project
from keras_netopt.search.reports.project_reader import read_project
from keras_netopt.tables import count

Path_ = str | os.PathLike[str]
TOP = 100
_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
}
# The width of a column is not known before the whole page is there.
_RESIZE = 'addEventListener("load", () => dispatchEvent(new Event("resize")));'
_STYLE = """
body { font-family: system-ui, sans-serif; margin: 0 auto; max-width: 1200px;
  padding: 0 16px 48px; color: #1f2937; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
p { margin: .3rem 0; color: #4b5563; }
.grid { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
.grid > div, section > div { min-width: 0; }
.wide { overflow-x: auto; } .wide > div { min-width: 640px; }
table { border-collapse: collapse; font-size: .85rem; }
td, th { padding: 3px 10px; text-align: left; white-space: nowrap;
  border-bottom: 1px solid #e5e7eb; }
"""


def report(
    directory: Path_,
    path: Path_,
    *,
    objective: str | None = None,
    metrics: Sequence[str] | None = None,
) -> Path:
    """Writes the results of any KerasTuner project as one HTML page.

    The page holds interactive pictures and all that they need, 5 MB, and
    opens without a network: the history; parallel coordinates, whose axes can
    be limited and moved; importance; slices; the Pareto front; the epochs of
    each trial; a table of the best 100 trials. The same in a shell:
    `keras-netopt trials DIR --html FILE`. Requires plotly,
    `keras-netopt[report]`.

    Example:

    >>> import json, pathlib
    >>> import keras_netopt as netopt
    >>> folder = pathlib.Path("told/trial_0")
    >>> folder.mkdir(parents=True)
    >>> _ = (folder / "trial.json").write_text(json.dumps({
    ...     "trial_id": "0", "status": "COMPLETED", "score": 0.5,
    ...     "best_step": 0, "hyperparameters": {"values": {"units": 8}}}))
    >>> netopt.search.report("told", "report.html").name
    'report.html'

    Args:
        directory: The project folder: `directory/project_name` of the tuner.
        path: The file to write; its suffix must be ".html".
        objective: The metric to use as the score. Defaults to `None`: the
            score.
        metrics: Two or more metrics of the Pareto front. Defaults to `None`:
            the objectives and the costs ("macs", "params", "bytes",
            "latency_ms") of the trials.

    Returns:
        The file.

    Raises:
        ImportError: If plotly is not installed.
        TypeError: If `path` is not a path.
        ValueError: If `directory` is not a project, no trial has `objective`
            or one of `metrics`, or `path` has another suffix.
    """
    target = _check_path(path)
    offline = _import_plotly()
    project = read_project(directory, objective=objective)
    names = choose_front_metrics(project, metrics)
    body = "\n".join(_sections(project, names))
    title = html.escape(project.path.resolve().name)
    with write_aside(target) as partial:
        Path(partial).write_text(
            "<!doctype html>\n"
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}'
            '</title><meta name="viewport" content="width=device-width, '
            f'initial-scale=1"><style>{_STYLE}</style>'
            f"<script>{offline.get_plotlyjs()}</script></head>\n"
            f"<body><h1>{title}</h1>\n{_summary(project)}\n{body}\n"
            f"<script>{_RESIZE}</script></body></html>\n",
            encoding="utf-8",
        )
    return target


def _check_path(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"Argument `path` must be a path. Received: path={path!r}"
        )
    target = Path(path)
    if target.suffix.lower() != ".html":
        raise ValueError(
            'Argument `path` must end in ".html". '
            f"Received: path={os.fspath(path)!r}"
        )
    return target


def _import_plotly() -> Any:
    try:
        from plotly import offline
    except ImportError as error:
        raise ImportError(
            "The HTML report requires plotly. Install it with: "
            'pip install "keras-netopt[report]"'
        ) from error
    return offline


def _sections(project: Project, metrics: Sequence[str]) -> list[str]:
    from keras_netopt.plots import search_page as draw

    found = [
        _section(
            "History", "Hollow: stopped or lower rung.", draw.history(project)
        )
    ]
    if project.space and project.complete_trials():
        found.append(
            _section(
                "Parallel coordinates",
                "Complete trials, the best are dark. Drag along an axis to "
                "select, drag its name to move it.",
                draw.coordinates(project),
                wide=True,
            )
        )
    effects, missing = main_effects(project), explain_missing(project)
    if effects:
        text = (
            "Main effects with their 95 % intervals; the shares need not add "
            "up to 100 %."
        )
        found.append(_section("Importance", text, draw.importance(effects)))
    elif missing is not None:
        found.append(_section("Importance", missing))
    if project.space:
        text = "The score over each hyperparameter."
        found.append(_section("Slices", text, *draw.slices(project)))
    if len(metrics) > 1:
        chosen = pareto_front(project, metrics)
        text = "Complete trials that no other one beats in every metric."
        figures = draw.front(project, chosen, metrics)
        found.append(_section("Pareto front", text, *figures))
    if any(trial.epochs for trial in project.trials):
        found.append(
            _section("Epochs", "Of each trial.", draw.timeline(project))
        )
    return [*found, _table(project)]


def _section(title: str, text: str, *figures: Any, wide: bool = False) -> str:
    name = title.lower().replace(" ", "-")
    parts = [
        figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            config=_CONFIG,
            div_id=f"{name}-{number}",
        )
        for number, figure in enumerate(figures)
    ]
    shape = "grid" if len(parts) > 1 else "wide" if wide else ""
    inside = "\n".join(parts)
    return (
        f"<section><h2>{html.escape(title)}</h2><p>{html.escape(text)}</p>\n"
        f'<div class="{shape}">{inside}</div></section>'
    )


def _summary(project: Project) -> str:
    complete = project.complete_trials()
    word = "lowest" if project.direction == "min" else "highest"
    lines = [
        f"{count(len(project.trials), 'trial')}, {len(complete)} complete; "
        f"the {word} "
        f"{project.objective} is best."
    ]
    if complete:
        best = project.ranked()[0]
        values = ", ".join(
            f"{k}={show_value(v)}" for k, v in best.parameters.items()
        )
        lines.append(
            f"Best: trial {best.trial_id}, {project.objective} "
            f"{best.score:.6g}: {values}"
        )
    if project.confirmation.rows:
        lines.append(project.confirmation.remark)
    lines += [project.end_reason] if project.end_reason else []
    lines += [f"Unreadable: {name}: {why}" for name, why in project.unreadable]
    return "\n".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _table(project: Project) -> str:
    names = [dimension.name for dimension in project.space]
    shown = project.ranked()[:TOP]
    names = names or list(dict.fromkeys(n for t in shown for n in t.parameters))
    spread = ["± std"] if any(map(project.spread, shown)) else []
    seeds = ["new seeds"] if project.confirmation.rows else []
    further = project.further_objectives
    head = ["trial", "status", project.objective, *further]
    head += [*spread, *seeds, "epochs"]
    describe = Leaderboard(project).describe_state
    rows = [
        [
            trial.trial_id,
            (describe(trial) or "complete")[:200],
            _number(trial.score),
            *(_number(trial.value(name)) for name in further),
            *(_number(project.spread(trial)) for _ in spread),
            *(_confirmed(project, trial) for _ in seeds),
            trial.epochs or "",
            *(show_value(trial.parameters.get(name, "")) for name in names),
        ]
        for trial in shown
    ]
    lines = [_row("th", head + names), *(_row("td", row) for row in rows)]
    title = f"The best {len(shown)} of {len(project.trials)}."
    return (
        f"<section><h2>Trials</h2><p>{title}</p>\n"
        f'<div class="wide"><table>{"".join(lines)}</table></div></section>'
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _confirmed(project: Project, trial: Any) -> str:
    found = project.confirmation.find(trial.trial_id)
    return "" if found is None else found.describe()


def _row(tag: str, cells: Sequence[Any]) -> str:
    inside = "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells)
    return f"<tr>{inside}</tr>"
