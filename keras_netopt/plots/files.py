"""Files of a compression run: the metric against the size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras_netopt.plots.models import scale_sizes
from keras_netopt.plots.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    Path,
    new_figure,
    save_figure,
    shorten_label,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FilePoint:
    """One file in `pareto_files`.

    Example:

    >>> point = FilePoint("int8", kilobytes=58.2, score=0.89)
    >>> point.is_best
    False

    Args:
        name: What was done.
        kilobytes: Size in units of 1,000 bytes.
        score: The metric of the file.
        latency_ratio: Latency divided by the original's. Defaults to `None`.
        is_best: Whether it was delivered. Defaults to `False`.
        is_front: Whether no other file is better in all figures. Defaults to
            `False`.
    """

    name: str
    kilobytes: float
    score: float
    latency_ratio: float | None = None
    is_best: bool = False
    is_front: bool = False


def pareto_files(
    files: Sequence[FilePoint],
    *,
    metric: str = "accuracy",
    max_kilobytes: float | None = None,
    limit: float | None = None,
    title: str | None = None,
    path: Path | None = None,
) -> "Figure":
    """Plots the metric of files against their size, with the limits.

    Example:

    >>> dense = FilePoint("original", kilobytes=344.0, score=0.9)
    >>> small = FilePoint("int8", kilobytes=58.2, score=0.89, is_best=True)
    >>> figure = pareto_files([dense, small], max_kilobytes=60, limit=0.89)
    >>> figure.axes[0].get_xlabel()
    'file size'

    Args:
        files: The files.
        metric: Name of the metric. Defaults to `"accuracy"`.
        max_kilobytes: Size that is allowed. Defaults to `None`.
        limit: Value of the metric that is allowed. Defaults to `None`.
        title: Title of the figure. Defaults to `None`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is no file.
    """
    if not files:
        raise ValueError(
            "Argument `files` must hold at least one file. Received: files=[]"
        )
    figure = new_figure(9.6, 4.2)
    axes = figure.subplots()
    if max_kilobytes is not None:
        axes.axvline(
            max_kilobytes,
            color=GREY,
            linestyle="--",
            linewidth=1,
            label=f"at most {max_kilobytes:g} kB",
        )
    if limit is not None:
        axes.axhline(
            limit,
            color=GREY,
            linestyle=":",
            linewidth=1,
            label=f"{metric} {limit:.4g} allowed",
        )
    front = sorted((f.kilobytes, f.score) for f in files if f.is_front)
    axes.plot(
        [x for x, _ in front], [y for _, y in front], color=LIGHT, zorder=1
    )
    for number, one in enumerate(files):
        _draw(axes, one, number)
    scale_sizes(axes)
    axes.set_xlabel("file size")
    axes.set_ylabel(metric)
    axes.margins(x=0.18, y=0.2)
    style_axes(axes, grid="both")
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        frameon=False,
        fontsize=9,
    )
    if title is not None:
        axes.set_title(title, fontsize=11)
    return save_figure(figure, path)


def _draw(axes: "Axes", one: FilePoint, number: int) -> None:
    color = GREEN if one.is_best else ORANGE if one.is_front else BLUE
    name = shorten_label(one.name)
    if one.latency_ratio is not None:
        name += f", {one.latency_ratio:.2f} x latency"
    axes.plot(
        one.kilobytes,
        one.score,
        marker="D" if one.is_best else "o",
        color=color,
        markersize=9 if one.is_best else 7,
        markeredgecolor="white",
        linestyle="none",
        zorder=3,
        label=f"{number}: {name}{' (delivered)' * one.is_best}",
    )
    axes.annotate(
        str(number),
        (one.kilobytes, one.score),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
        fontsize=10,
        color=color,
        fontweight="bold" if one.is_best else "normal",
    )
