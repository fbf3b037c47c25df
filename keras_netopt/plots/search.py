"""Plots of the trials of a search."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_netopt.plots.style import (
    BLUE,
    GREY,
    LIGHT,
    ORANGE,
    RED,
    Path,
    count,
    label_bar,
    new_figure,
    save_figure,
    shorten_label,
    style_axes,
    style_share_bars,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INACTIVE = -0.08
PANELS = 3
# Inches of the longest picture; more trials have thinner bars.
MAX_HEIGHT = 24.0
BARS = {
    BLUE: "complete",
    ORANGE: "stopped or lower rung",
    RED: "without a score",
}


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
        (i + 1, trial)
        for i, trial in enumerate(project.trials)
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
            [i for i in range(1, len(project.trials) + 1) if i not in places],
            *(0, 1),
            transform=axes.get_xaxis_transform(),
            color=RED,
            linewidth=0.6,
            alpha=0.5,
            zorder=0,
        )
    steps, best = _running_best(project, full)
    axes.step(steps, best, where="post", color=BLUE, linewidth=2, label="best")
    axes.set(xlabel="trial", ylabel=project.objective)
    _count_whole(axes.xaxis)
    axes.legend(frameon=False, fontsize=9)
    style_axes(axes, grid="y")
    return save_figure(figure, path)


def parallel_coordinates(project: Any, *, path: Path | None = None) -> "Figure":
    """Plots parallel coordinates: one line per complete trial.

    Lines of better scores are darker; an inactive hyperparameter is shown
    below its axis.

    Args:
        project: A project of `keras_netopt.search.read_project`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    space = project.space
    figure = new_figure(max(6.4, 1.5 * len(space) + 2), 4.2)
    axes = figure.subplots()
    trials = [t for t in project.ranked() if project.is_complete(t)]
    _lines(axes, space, trials)
    for i, dimension in enumerate(space):
        axes.axvline(i, color=LIGHT, zorder=0)
        _label_axis(axes, i, dimension)
    axes.axvline(len(space), color=GREY, zorder=0)
    names = [shorten_label(d.name) for d in space]
    axes.set_xticks(
        range(len(space) + 1), [*names, f"rank by\n{project.objective}"]
    )
    axes.set(ylim=(-0.16, 1.08), yticks=[])
    axes.set_title(
        f"{len(trials)} complete trials, the best in orange", fontsize=9
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return save_figure(figure, path)


def importance_bars(
    effects: Sequence[Any], *, path: Path | None = None
) -> "Figure":
    """Plots the main effect of each hyperparameter and that of chance.

    Args:
        effects: The main effects: `name`, `share`, `chance`, `trials`.
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
        label_bar(axes, effect.share, place, f"{effect.share:.0%}")
        axes.plot([effect.chance] * 2, [place - 0.35, place + 0.35], color=RED)
    axes.set_title(
        "share of the variance, main effects only; red: by chance", fontsize=9
    )
    style_share_bars(axes, [f"{e.name} (n={e.trials})" for e in effects])
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
            labels = [shorten_label(str(c)) for c in dimension.choices]
            axes.set_xticks(range(len(labels)), labels, fontsize=8)
            axes.set_xlim(-0.5, len(labels) - 0.5)
        elif dimension.sampling == "log":
            axes.set_xscale("log")
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
        style = "o-" if len(metrics) == 2 else "o"
        x, y = [at for at, _ in best], [at for _, at in best]
        axes.plot(x, y, style, color=ORANGE, label="front")
        axes.set_xlabel(other)
        axes.xaxis.set_major_formatter(count)
        style_axes(axes, grid="both")
    panels[0].set_ylabel(first)
    panels[0].legend(frameon=False, fontsize=9)
    return save_figure(figure, path)


def trial_timeline(project: Any, *, path: Path | None = None) -> "Figure":
    """Plots the epochs of each trial, and the trials that reached each epoch.

    Args:
        project: A project of `keras_netopt.search.read_project`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    known = [(i + 1, t) for i, t in enumerate(project.trials) if t.epochs]
    height = min(max(3.4, 1.0 + 0.09 * len(known)), MAX_HEIGHT)
    figure = new_figure(9.6, height)
    bars, curve = figure.subplots(1, 2, width_ratios=(1.7, 1))
    lengths = [(i, trial.epochs) for i, trial in known]
    colors = [_bar_color(project, trial) for _, trial in known]
    _long_bars(bars, lengths, colors)
    for color, name in BARS.items():
        if color in colors:
            bars.plot([], [], "s", color=color, label=name)
    bars.set(xlabel="epochs", ylabel="trial")
    bars.invert_yaxis()
    bars.legend(frameon=False, fontsize=8, loc="best")
    style_axes(bars, grid="x")
    lasted = np.array([epochs for _, epochs in lengths])
    epochs = range(1, lasted.max(initial=0) + 1)
    running = [int((lasted >= epoch).sum()) for epoch in epochs]
    curve.step(epochs, running, where="post", color=BLUE, linewidth=2)
    curve.set(xlabel="epoch", ylabel="trials that reached it")
    curve.set_ylim(bottom=0)
    style_axes(curve, grid="y")
    for axis in (bars.xaxis, bars.yaxis, curve.xaxis, curve.yaxis):
        _count_whole(axis)
    return save_figure(figure, path)


def _count_whole(axis: Any) -> None:
    """Limits the ticks of an axis to whole numbers."""
    axis.get_major_locator().set_params(integer=True)


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


def _lines(axes: "Axes", space: Sequence[Any], trials: Sequence[Any]) -> None:
    """Draws a line per trial, best first, in one object: it is fast."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    lines, colors, widths = [], [], []
    for place, trial in reversed(list(enumerate(trials))):
        share = place / max(len(trials) - 1, 1)
        heights = [_height(d, trial.parameters) for d in space]
        lines.append(list(enumerate([*heights, 1.0 - share])))
        if place:
            colors.append(to_rgba(BLUE, 0.15 + 0.6 * (1 - share)))
        else:
            colors.append(to_rgba(ORANGE))
        widths.append(1.2 if place else 2.2)
    axes.add_collection(
        LineCollection(lines, colors=colors, linewidths=widths, zorder=2)
    )
    axes.autoscale_view()


def _bar_color(project: Any, trial: Any) -> str:
    if project.is_complete(trial):
        return BLUE
    return ORANGE if trial.is_scored else RED


def _long_bars(
    axes: "Axes", lengths: Sequence[tuple[int, int]], colors: Sequence[str]
) -> None:
    """Draws a horizontal bar per place in one object: it is fast."""
    from matplotlib.collections import PolyCollection

    corners = [
        [(0, i - 0.4), (length, i - 0.4), (length, i + 0.4), (0, i + 0.4)]
        for i, length in lengths
    ]
    axes.add_collection(PolyCollection(corners, facecolors=colors))
    axes.autoscale_view()
    axes.set_xlim(left=0)


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


def _height(dimension: Any, parameters: Any) -> float:
    if dimension.name not in parameters:
        return INACTIVE
    unit = dimension.unit(parameters[dimension.name])
    return INACTIVE if unit is None else unit


def _label_axis(axes: "Axes", place: int, dimension: Any) -> None:
    if dimension.choices:
        labels = [(dimension.unit(c), str(c)) for c in dimension.choices]
    else:
        ends = (dimension.low, dimension.high)
        labels = [(unit, f"{end:.4g}") for unit, end in enumerate(ends)]
    for height, text in labels:
        axes.annotate(
            shorten_label(text),
            (place, height),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8,
            color=GREY,
            va="center",
        )


def _position(dimension: Any, value: Any) -> Any:
    if dimension.choices:
        known = value in dimension.choices
        return dimension.choices.index(value) if known else None
    return value
