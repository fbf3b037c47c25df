"""Epochs of the trials of a search."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_netopt.plots.style import (
    BLUE,
    ORANGE,
    RED,
    Path,
    count_whole,
    legend_above,
    new_figure,
    save_figure,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches of the longest picture; more trials have thinner bars.
MAX_HEIGHT = 24.0
BARS = {
    BLUE: "complete",
    ORANGE: "stopped or lower rung",
    RED: "without a score",
}


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
    numbered = zip(project.numbers, project.trials, strict=True)
    known = [(number, trial) for number, trial in numbered if trial.epochs]
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
    numbers = [number for number, _ in lengths]
    bars.set_ylim(max(numbers, default=0) + 0.8, min(numbers, default=0) - 0.8)
    legend_above(bars)
    style_axes(bars, grid="x")
    lasted = np.array([epochs for _, epochs in lengths])
    epochs = range(1, lasted.max(initial=0) + 1)
    running = [int((lasted >= epoch).sum()) for epoch in epochs]
    curve.step(epochs, running, where="post", color=BLUE, linewidth=2)
    curve.set(xlabel="epoch", ylabel="trials that reached it")
    curve.set_ylim(bottom=0)
    style_axes(curve, grid="y")
    for axis in (bars.xaxis, bars.yaxis, curve.xaxis, curve.yaxis):
        count_whole(axis)
    return save_figure(figure, path)


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
