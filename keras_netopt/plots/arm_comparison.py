"""Plot of a comparison of arms."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from keras_netopt.plots.style import (
    GREY,
    SERIES,
    Path,
    draw_curves,
    new_figure,
    save_figure,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Comparison(Protocol):
    """The part of `curriculum.ArmComparison` that the plot uses."""

    @property
    def curves(self) -> Mapping[str, np.ndarray]: ...

    @property
    def monitor(self) -> str: ...

    @property
    def steps_per_epoch(self) -> int: ...

    @property
    def baseline(self) -> str: ...

    @property
    def target_value(self) -> float: ...

    def differences(self) -> Sequence[Any]: ...


def arm_comparison(
    comparison: Comparison, *, path: Path | None = None
) -> "Figure":
    """Plots the curves of all arms and their differences to the baseline.

    Left: mean over the seeds with one standard deviation. Right: paired
    difference to the baseline in the last epoch with its 95 % confidence
    interval.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.curriculum import ArmComparison
    >>> arms = ArmComparison(
    ...     curves={
    ...         "shuffle": np.array([[0.5, 0.7], [0.5, 0.8]]),
    ...         "easy_first": np.array([[0.6, 0.8], [0.6, 0.8]]),
    ...     },
    ...     steps_per_epoch=10,
    ...     monitor="val_accuracy",
    ... )
    >>> figure = arm_comparison(arms)
    >>> figure.axes[0].get_ylabel()
    'val_accuracy'

    Args:
        comparison: Result of `keras_netopt.curriculum.compare_arms`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    figure = new_figure(10.4, 4.0)
    curves, gaps = figure.subplots(1, 2, width_ratios=(1.4, 1))
    draw_curves(curves, comparison.curves, comparison.steps_per_epoch)
    curves.axhline(
        comparison.target_value, color=GREY, linewidth=0.9, linestyle=":"
    )
    curves.set(xlabel="step", ylabel=comparison.monitor)
    _draw_differences(gaps, comparison)
    return save_figure(figure, path)


def _draw_differences(axes: "Axes", comparison: Comparison) -> None:
    names = list(comparison.curves)
    for row in comparison.differences():
        place = names.index(row.name)
        color = SERIES[place % len(SERIES)]
        error = None if row.low is None else [[row.mean - row.low]] * 2
        axes.errorbar(
            row.mean, place, xerr=error, fmt="o", color=color, capsize=4
        )
    axes.axvline(0.0, color=GREY, linewidth=0.9)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(
        f"difference to {comparison.baseline}, 95 % interval", fontsize=10
    )
    style_axes(axes, grid="x")
