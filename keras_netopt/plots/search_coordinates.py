"""Parallel coordinates of the trials of a search."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_netopt.plots.style import (
    BLUE,
    GREY,
    LIGHT,
    ORANGE,
    VALUE_LENGTH,
    Path,
    new_figure,
    save_figure,
    shorten_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INACTIVE = -0.08


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


def _height(dimension: Any, parameters: Any) -> float:
    if dimension.name not in parameters:
        return INACTIVE
    unit = dimension.unit(parameters[dimension.name])
    return INACTIVE if unit is None else unit


def _label_axis(axes: "Axes", place: int, dimension: Any) -> None:
    if dimension.choices:
        labels = [(dimension.unit(c), str(c)) for c in dimension.choices]
    else:
        ends = dict.fromkeys((dimension.low, dimension.high))
        labels = [(dimension.unit(end), f"{end:.4g}") for end in ends]
    for height, text in labels:
        axes.annotate(
            shorten_label(text, VALUE_LENGTH),
            (place, height),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8,
            color=GREY,
            va="center",
            bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none"},
        )
