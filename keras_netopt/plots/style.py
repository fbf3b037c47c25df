"""Colours, axes, number formats and figures of all plots."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_netopt.files import write_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Path = str | os.PathLike[str]

BLUE, ORANGE, GREEN = "#2a6fbb", "#e07b39", "#3a9a6d"
PURPLE, RED, GREY, LIGHT = "#8a5fb0", "#c8443e", "#6b7280", "#d9dde3"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)
MARKERS = "osD^vP"
LABEL_LENGTH = 34
VALUE_LENGTH = 16  # Of the values of hyperparameters.


def legend_below(axes: "Axes") -> None:
    """Places the legend in one row below the axes."""
    _, names = axes.get_legend_handles_labels()
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
        ncols=max(len(names), 1),
        frameon=False,
        fontsize=9,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def legend_above(axes: "Axes") -> None:
    """Places the legend in one row above the axes, where no data is."""
    _, names = axes.get_legend_handles_labels()
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=max(len(names), 1),
        frameon=False,
        fontsize=9,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def count_whole(axis: Any) -> None:
    """Limits the ticks of an axis to whole numbers."""
    axis.get_major_locator().set_params(integer=True)


def log_axis(axes: "Axes", low: float, high: float) -> None:
    """Makes the x axis logarithmic, with few ticks as plain numbers.

    `low` and `high` are the limits of the range, not of the axis.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    decades = np.log10(high / low)
    steps = (1.0, 2.0, 5.0) if decades < 1 else (1.0, 3.0)
    axes.set_xscale("log")
    margin = 10 ** (0.04 * decades)
    axes.set_xlim(low / margin, high * margin)
    axes.xaxis.set_major_locator(
        LogLocator(subs=steps if decades < 2 else (1.0,), numticks=6)
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def label_bar(axes: "Axes", share: float, y: Any, text: str) -> None:
    """Writes a label inside a bar, or beside it if the bar is short."""
    inside = share > 0.5
    axes.annotate(
        text,
        (share, y),
        xytext=(-4 if inside else 4, 0),
        textcoords="offset points",
        ha="right" if inside else "left",
        va="center",
        fontsize=8,
        color="white" if inside else GREY,
    )


def style_share_bars(
    axes: "Axes", names: Sequence[str], *, fontsize: int = 9
) -> None:
    """Formats horizontal bars of shares, one row per name from the top."""
    rows = range(len(names))
    axes.set_yticks(rows, [shorten_label(n) for n in names], fontsize=fontsize)
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5))
    axes.xaxis.set_major_formatter(percent)
    style_axes(axes, grid="x")
    axes.tick_params(axis="y", length=0)


def percent(value: float, _: float) -> str:
    """Formats a share for an axis."""
    return f"{100 * value:.4g} %"


def kilobytes(value: float, _: float) -> str:
    """Formats kilobytes for an axis."""
    return f"{value:,.4g} kB"


def count(value: float, _: float) -> str:
    """Formats a large count for an axis."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.4g}{name}"
    return f"{value:.4g}"


def shorten_label(name: str, length: int = LABEL_LENGTH) -> str:
    """Truncates a long name on its left."""
    if len(name) <= length:
        return name
    return "…" + name[1 - length :]


def wrap_text(text: str, width: int) -> str:
    """Breaks a text into lines."""
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def draw_curves(
    axes: "Axes", curves: Mapping[str, np.ndarray], steps_per_epoch: int = 1
) -> None:
    """Draws the mean of each arm's curves and one standard deviation.

    `curves` holds arrays of shape `(seeds, epochs)` by the name of the arm.
    """
    for i, (name, values) in enumerate(curves.items()):
        steps: Any = steps_per_epoch * np.arange(1, values.shape[1] + 1)
        color, mean = SERIES[i % len(SERIES)], values.mean(axis=0)
        axes.plot(steps, mean, color=color, linewidth=1.8, label=name)
        if len(values) > 1:
            spread = values.std(axis=0, ddof=1)
            axes.fill_between(
                steps, mean - spread, mean + spread, color=color, alpha=0.15
            )
    axes.legend(frameon=False, fontsize=9)
    style_axes(axes, grid="y")


def style_axes(axes: "Axes", *, grid: str) -> None:
    """Removes two spines, mutes the ticks and adds a grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor="black")
    axes.grid(axis=grid, color=LIGHT, linewidth=0.7)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def new_figure(width: float, height: float) -> "Figure":
    """Creates a figure without pyplot and without a window."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Plots require matplotlib. Install it with: "
            'pip install "keras-netopt[plots]"'
        ) from error

    class NotebookFigure(Figure):
        """A figure that notebooks display without pyplot."""

        def _repr_png_(self) -> bytes:
            import io

            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=110)
            return buffer.getvalue()

    return NotebookFigure(figsize=(width, height), layout="constrained")


def save_figure(figure: "Figure", path: Path | None) -> "Figure":
    """Writes the figure if a path is given, and returns it."""
    if path is not None:
        path = os.fspath(path)
        if not os.path.splitext(path)[1]:
            path += ".png"  # As matplotlib does.
        with write_aside(path) as partial:
            figure.savefig(partial, dpi=150, facecolor="white")
    return figure
