"""Plots of transfer between tasks."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from keras_netopt.plots.style import (
    GREY,
    SERIES,
    Path,
    draw_curves,
    new_figure,
    percent,
    save_figure,
    shorten_label,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Measured(Protocol):
    """The part of `progressive.TransferReport` that the plot uses."""

    @property
    def curves(self) -> Mapping[str, np.ndarray]: ...

    @property
    def monitor(self) -> str: ...

    @property
    def ceiling(self) -> float | None: ...

    def scores(self) -> Mapping[str, Any]: ...


def transfer_curves(report: Measured, *, path: Path | None = None) -> "Figure":
    """Plots the learning curves of all arms and their transfer scores.

    Left: mean over the seeds with one standard deviation. Right: the score of
    each seed, small, and the mean; the line is the score of scratch. The
    highest possible score, if it is known, stands in the title.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.progressive import TransferReport
    >>> report = TransferReport(
    ...     curves={
    ...         "scratch": np.array([[0.4, 0.6], [0.5, 0.5]]),
    ...         "progressive": np.array([[0.5, 0.7], [0.6, 0.6]]),
    ...     },
    ...     monitor="val_accuracy",
    ... )
    >>> figure = transfer_curves(report)
    >>> figure.axes[1].get_title()
    'transfer score (at most 2.000)'

    Args:
        report: Result of `progressive.measure_transfer`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    figure = new_figure(10.4, 4.0)
    curves, scores = figure.subplots(1, 2, width_ratios=(1.4, 1))
    draw_curves(curves, report.curves)
    curves.set(xlabel="epoch", ylabel=report.monitor)
    curves.xaxis.get_major_locator().set_params(integer=True)
    _draw_scores(scores, report)
    return save_figure(figure, path)


def _draw_scores(axes: "Axes", report: Measured) -> None:
    names = list(report.curves)
    for name, score in report.scores().items():
        place = names.index(name)
        color = SERIES[place % len(SERIES)]
        places = [place] * len(score.ratios)
        axes.plot(score.ratios, places, "o", color=color, ms=4, alpha=0.4)
        axes.plot([score.mean], [place], "D", color=color, ms=8)
    axes.axvline(1.0, color=GREY, linewidth=0.9)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    title = "transfer score"
    if report.ceiling is not None:
        title += f" (at most {report.ceiling:.3f})"
    axes.set_title(title, fontsize=10)
    style_axes(axes, grid="x")


def draw_heatmap(
    axes: "Axes",
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    texts: Sequence[Sequence[str]],
    limits: tuple[float, float],
    colors: str = "Blues",
) -> Any:
    """Draws a matrix with its numbers; NaN stays white.

    Args:
        axes: Where to draw.
        values: Array of shape `(rows, columns)`.
        rows: Names of the rows.
        columns: Names of the columns.
        texts: Text of each cell.
        limits: Values of the first and the last colour.
        colors: Name of a colour map. Defaults to `"Blues"`.
    """
    image = axes.imshow(
        values,
        cmap=colors,
        vmin=limits[0],
        vmax=limits[1],
        aspect="auto",
        interpolation="nearest",
    )
    for (row, column), value in np.ndenumerate(values):
        place = (value - limits[0]) / max(limits[1] - limits[0], 1e-9)
        # Diverging colours are dark at both ends, others at the last one.
        is_dark = place > 0.65 or (colors == "RdBu" and place < 0.2)
        axes.text(
            column,
            row,
            texts[row][column],
            ha="center",
            va="center",
            fontsize=9,
            color="white" if is_dark else "black",
        )
    names = [shorten_label(name) for name in columns]
    is_long = max(map(len, names), default=0) * len(names) > 60
    axes.set_xticks(range(len(columns)), names, fontsize=9)
    if is_long:
        axes.tick_params(axis="x", labelrotation=30)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
    axes.set_yticks(
        range(len(rows)), [shorten_label(name) for name in rows], fontsize=9
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image


class Shares(Protocol):
    """The part of `progressive.SensitivityReport` that the plot uses."""

    @property
    def method(self) -> str: ...

    @property
    def layers(self) -> Sequence[str]: ...

    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def shares(self) -> np.ndarray: ...


def sensitivity_heatmap(
    report: Shares, *, path: Path | None = None
) -> "Figure":
    """Plots the share of each column in each layer.

    The deepest layer stands at the top. A cell is empty where a layer does
    not read a column.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.progressive import SensitivityReport
    >>> report = SensitivityReport(
    ...     "fisher",
    ...     ("lateral_1", "lateral_2"),
    ...     ("task2", "task1"),
    ...     np.array([[1.0, 3.0], [9.0, 1.0]]),
    ... )
    >>> figure = sensitivity_heatmap(report)
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['90%', '10%', '25%', '75%']

    Args:
        report: Result of `progressive.sensitivity`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    shares = report.shares[::-1]
    width = 2.6 + 1.1 * len(report.columns)
    figure = new_figure(max(width, 4.6), 1.5 + 0.5 * len(report.layers))
    axes = figure.subplots()
    texts = [["" if np.isnan(v) else f"{v:.0%}" for v in row] for row in shares]
    image = draw_heatmap(
        axes,
        shares,
        list(report.layers)[::-1],
        report.columns,
        texts=texts,
        limits=(0.0, 1.0),
    )
    bar = figure.colorbar(image, ax=axes)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(percent)
    axes.set_title(f"share of each column ({report.method})", fontsize=10)
    return save_figure(figure, path)


class Scores(Protocol):
    """The part of `progressive.TransferMatrix` that the plot uses."""

    @property
    def tasks(self) -> Sequence[str]: ...

    def table(self) -> tuple[Sequence[str], np.ndarray]: ...


def transfer_heatmap(matrix: Scores, *, path: Path | None = None) -> "Figure":
    """Plots the transfer scores from each task to each other one.

    Blue is above 1, red below. The controls stand below a line: what they
    reach is not transfer.

    Args:
        matrix: Result of `progressive.transfer_matrix`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    rows, values = matrix.table()
    reach = float(np.nanmax(np.abs(values - 1.0), initial=0.01))
    figure = new_figure(
        max(3.4 + 1.0 * len(matrix.tasks), 5.0), 1.7 + 0.5 * len(rows)
    )
    axes = figure.subplots()
    texts = [["" if np.isnan(v) else f"{v:.3f}" for v in row] for row in values]
    image = draw_heatmap(
        axes,
        values,
        rows,
        matrix.tasks,
        texts=texts,
        limits=(1.0 - reach, 1.0 + reach),
        colors="RdBu",
    )
    axes.axhline(len(matrix.tasks) - 0.5, color="black", linewidth=1.2)
    bar = figure.colorbar(image, ax=axes)
    bar.outline.set_visible(False)
    axes.set(xlabel="new task", ylabel="learned before")
    axes.set_title("transfer score", fontsize=10)
    return save_figure(figure, path)
