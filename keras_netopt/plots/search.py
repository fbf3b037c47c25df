"""Plots of the trials of a search."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_netopt.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    VALUE_LENGTH,
    Path,
    count,
    count_whole,
    legend_above,
    log_axis,
    new_figure,
    save_figure,
    shorten_label,
    style_axes,
    style_share_bars,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 3
PANEL_WIDTH = 36  # In letters of the labels.


def search_history(project: Any, *, path: Path | None = None) -> "Figure":
    """Plots the score of each trial and the best score so far.

    Stopped trials are hollow and excluded from the best score.

    Example:

    >>> from pathlib import Path as Folder
    >>> from keras_netopt.search.reports.project import Project, TrialRecord
    >>> trials = tuple(TrialRecord(str(i), "COMPLETED", score)
    ...                for i, score in enumerate([0.5, 0.7, 0.2]))
    >>> figure = search_history(Project(Folder("p"), trials))
    >>> figure.axes[0].lines[-1].get_ydata().tolist()
    [0.5, 0.5, 0.2]

    Args:
        project: A project of `keras_netopt.search.read_project`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    figure = new_figure(7.2, 3.8)
    axes = figure.subplots()
    scored = [
        (number, trial)
        for number, trial in zip(project.numbers, project.trials, strict=True)
        if trial.is_scored
    ]
    full = [(i, t.score) for i, t in scored if project.is_complete(t)]
    short_ones = [(i, t.score) for i, t in scored if not project.is_complete(t)]
    _points(axes, full, "complete", filled=True)
    _points(axes, short_ones, "stopped or lower rung", filled=False)
    missing = len(project.trials) - len(scored)
    if missing:
        axes.plot([], [], "x", color=RED, label=f"{missing} without a score")
        places = {i for i, _ in scored}
        axes.vlines(
            [number for number in project.numbers if number not in places],
            *(0, 1),
            transform=axes.get_xaxis_transform(),
            color=RED,
            linewidth=0.6,
            alpha=0.5,
            zorder=0,
        )
    steps, best = _running_best(project, full)
    if full:
        axes.step(
            steps, best, where="post", color=BLUE, linewidth=2, label="best"
        )
    if not scored:
        axes.set_yticks([])
    axes.set(xlabel="trial", ylabel=project.objective)
    count_whole(axes.xaxis)
    if project.trials:
        legend_above(axes)
    style_axes(axes, grid="y")
    return save_figure(figure, path)


def importance_bars(
    effects: Sequence[Any], *, path: Path | None = None
) -> "Figure":
    """Plots the main effect of each hyperparameter and its 95 % interval.

    Args:
        effects: The main effects: `name`, `share`, `low`, `high`, `trials`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    figure = new_figure(6.4, 0.9 + 0.4 * len(effects))
    axes = figure.subplots()
    for place, effect in enumerate(effects):
        axes.barh(place, effect.share, color=BLUE, height=0.6)
        axes.plot([effect.low, effect.high], [place] * 2, color=ORANGE)
        axes.annotate(
            f"{effect.share:.0%}",
            (effect.high, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_title(
        "share of the variance by main effects; orange: 95 % interval\n"
        "the shares need not add up to 100 %",
        fontsize=9,
    )
    style_share_bars(axes, [f"{e.name} (n={e.trials})" for e in effects])
    axes.set_xlim(0, 1.08)
    return save_figure(figure, path)


def slices(project: Any, *, path: Path | None = None) -> "Figure":
    """Plots the score over each hyperparameter.

    Args:
        project: A project of `keras_netopt.search.read_project`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    space = project.space
    rows = -(-len(space) // PANELS)
    columns = min(PANELS, len(space))
    figure = new_figure(3.2 * columns, 2.8 * rows)
    panels: Any = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, dimension in zip(panels.flat, space, strict=False):
        for filled in (False, True):
            chosen = [
                (_position(dimension, t.parameters[dimension.name]), t.score)
                for t in project.trials
                if t.is_scored
                and project.is_complete(t) == filled
                and dimension.name in t.parameters
            ]
            _points(axes, chosen, "", filled=filled)
        if dimension.choices:
            choices = map(str, dimension.choices)
            labels = [shorten_label(one, VALUE_LENGTH) for one in choices]
            axes.set_xticks(range(len(labels)), labels, fontsize=8)
            if sum(map(len, labels)) + len(labels) > PANEL_WIDTH:
                axes.tick_params(axis="x", labelrotation=90)
            axes.set_xlim(-0.5, len(labels) - 0.5)
        elif dimension.low == dimension.high is not None:
            axes.set_xticks([dimension.low])
        elif dimension.sampling == "log":
            log_axis(axes, dimension.low, dimension.high)
        else:
            axes.locator_params(axis="x", nbins=4)
            if dimension.is_whole:
                count_whole(axes.xaxis)
        axes.set_xlabel(shorten_label(dimension.name))
        style_axes(axes, grid="y")
    for axes in panels.flat[len(space) :]:
        axes.set_visible(False)
    for row in panels:
        row[0].set_ylabel(project.objective)
    if any(t.is_scored and not project.is_complete(t) for t in project.trials):
        figure.suptitle("hollow: stopped or lower rung", fontsize=9)
    return save_figure(figure, path)


def pareto_front(
    project: Any,
    front: Sequence[Any],
    metrics: Sequence[str],
    *,
    path: Path | None = None,
) -> "Figure":
    """Plots the first metric over each other metric, and the Pareto front.

    Args:
        project: A project of `keras_netopt.search.read_project`.
        front: The trials of the Pareto front of all metrics.
        metrics: Names of two or more metrics.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    first, *others = metrics
    figure = new_figure(1.2 + 4.2 * len(others), 3.8)
    grid: Any = figure.subplots(1, len(others), squeeze=False, sharey=True)
    panels = grid[0]
    for axes, other in zip(panels, others, strict=True):
        for filled in (False, True):
            chosen = [
                (t.value(other), t.value(first))
                for t in project.trials
                if t.is_scored
                and project.is_complete(t) == filled
                and t.value(other) is not None
            ]
            name = "complete" if filled else "stopped or lower rung"
            _points(axes, chosen, name, filled=filled)
        best = sorted((t.value(other), t.value(first)) for t in front)
        x, y = [at for at, _ in best], [at for _, at in best]
        axes.plot(x, y, "o", color=ORANGE, label="front")
        axes.set_xlabel(other)
        axes.xaxis.set_major_formatter(count)
        style_axes(axes, grid="both")
    panels[0].set_ylabel(first)
    legend_above(panels[0])
    return save_figure(figure, path)


def _points(
    axes: "Axes", points: Sequence[Any], name: str, *, filled: bool
) -> None:
    if not points:
        return
    x, y = zip(*points, strict=True)
    axes.plot(
        x,
        y,
        "o",
        color=GREY,
        markerfacecolor=GREY if filled else "none",
        markersize=4.5,
        label=name,
    )


def _running_best(
    project: Any, full: Sequence[Any]
) -> tuple[list[int], list[float]]:
    steps: list[int] = []
    best: list[float] = []
    for i, score in full:
        is_better = not best or project.sign * (score - best[-1]) < 0
        steps.append(i)
        best.append(score if is_better else best[-1])
    return steps, best


def _position(dimension: Any, value: Any) -> Any:
    if dimension.choices:
        known = value in dimension.choices
        return dimension.choices.index(value) if known else None
    return value
