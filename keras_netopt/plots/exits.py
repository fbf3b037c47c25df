"""Accuracy against cost of a network with early exits."""

from typing import TYPE_CHECKING, Any

from keras_netopt.plots.style import (
    BLUE,
    GREY,
    LIGHT,
    ORANGE,
    Path,
    count,
    label_bar,
    new_figure,
    percent,
    save_figure,
    style_axes,
    style_share_bars,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def exit_curve(exits: Any, *, path: Path | None = None) -> "Figure":
    """Plots the operating points, the chosen one, and the exit fractions.

    Example:

    >>> from types import SimpleNamespace as Any
    >>> points = [Any(cost=10.0, accuracy=0.7), Any(cost=40.0, accuracy=0.8)]
    >>> costs = Any(unit="MACs")
    >>> exits = Any(curve=points, front=points, cost=40.0, accuracy=0.8,
    ...             full_cost=50.0, full_accuracy=0.8,
    ...             fractions={"exit1": 0.2, "final": 0.8},
    ...             calibration=Any(costs=costs))
    >>> exit_curve(exits).axes[0].get_ylabel()
    'accuracy'

    Args:
        exits: The result of `keras_netopt.depth.calibrate`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    figure = new_figure(9.6, 3.8)
    curve, shares = figure.subplots(1, 2, width_ratios=(1.7, 1))
    _draw_curve(curve, exits)
    _draw_shares(shares, exits.fractions)
    return save_figure(figure, path)


def _draw_curve(axes: "Axes", exits: Any) -> None:
    points, front = exits.curve, exits.front
    axes.plot(
        [p.cost for p in points],
        [p.accuracy for p in points],
        "o",
        color=LIGHT,
        markersize=5,
        label="evaluated",
    )
    axes.plot(
        [p.cost for p in front],
        [p.accuracy for p in front],
        "o-",
        color=BLUE,
        markersize=4,
        linewidth=1.4,
        label="Pareto front",
    )
    axes.plot(
        exits.full_cost,
        exits.full_accuracy,
        "s",
        color=GREY,
        markersize=8,
        label="without exits",
    )
    axes.plot(
        exits.cost,
        exits.accuracy,
        "D",
        color=ORANGE,
        markersize=8,
        label="chosen",
    )
    unit = exits.calibration.costs.unit
    axes.set(xlabel=f"mean {unit} per sample", ylabel="accuracy")
    axes.yaxis.set_major_formatter(percent)
    if unit == "MACs":
        axes.xaxis.set_major_formatter(count)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    style_axes(axes, grid="y")


def _draw_shares(axes: "Axes", fractions: dict[str, float]) -> None:
    names = list(fractions)
    for row, name in enumerate(names):
        share = fractions[name]
        axes.barh(row, share, color=BLUE, height=0.7)
        label_bar(axes, share, row, f"{share:.1%}")
    axes.set_title("exit fraction", fontsize=10)
    style_share_bars(axes, names)
