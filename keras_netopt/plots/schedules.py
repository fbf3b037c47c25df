"""Plot of a schedule over a run."""

from typing import TYPE_CHECKING, Protocol

import numpy as np

from keras_netopt.plots.style import (
    BLUE,
    GREY,
    LIGHT,
    Path,
    new_figure,
    save_figure,
    style_axes,
    wrap_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Curve(Protocol):
    """The method of a schedule that the plot uses."""

    def values(self, total: int, steps_per_epoch: int | None) -> np.ndarray: ...


def schedule_curve(
    schedule: _Curve,
    *,
    total: int = 100,
    steps_per_epoch: int | None = None,
    path: Path | None = None,
) -> "Figure":
    """Plots a schedule over a run.

    Example:

    >>> from keras_netopt.schedules import Polynomial
    >>> figure = schedule_curve(Polynomial(final=0.9), total=1000)
    >>> figure.axes[0].get_xlabel()
    'step'

    Args:
        schedule: A schedule from `keras_netopt.schedules`.
        total: Steps of the run, at least 1. Defaults to `100`.
        steps_per_epoch: Steps per epoch, a divisor of `total`. Defaults to
            `None`: the run is one epoch.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If a point of the schedule is outside the run.
    """
    figure = new_figure(6.4, 3.6)
    values = schedule.values(total, steps_per_epoch)
    axes = figure.subplots()
    # Few distinct values are levels, constant until the next step.
    levels = len(np.unique(values)) <= max(2, total // 10)
    style = "steps-post" if levels else "default"
    axes.plot(values, color=BLUE, linewidth=2.2, drawstyle=style)
    moves = np.flatnonzero(np.diff(values))
    if len(moves):
        marked = moves + 1 if levels else moves[[0, -1]] + [0, 1]
        axes.plot(marked, values[marked], "o", color=BLUE, markersize=5.5)
    if steps_per_epoch is not None and total // steps_per_epoch <= 50:
        for epoch in range(1, total // steps_per_epoch):
            axes.axvline(
                epoch * steps_per_epoch, color=LIGHT, linewidth=0.7, zorder=0
            )
    axes.set(xlabel="step", ylabel="value", xlim=(0, total))
    axes.set_title(wrap_text(str(schedule), 78), fontsize=9, color=GREY)
    axes.margins(y=0.08)
    style_axes(axes, grid="y")
    return save_figure(figure, path)
