"""How sparse the layers of a model are."""

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_netopt.plots.style import (
    BLUE,
    LIGHT,
    ORANGE,
    Path,
    count,
    label_bar,
    new_figure,
    percent,
    save_figure,
    shorten_label,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sparsity_bars(report: Any, *, path: Path | None = None) -> "Figure":
    """Draws the share of zeros and the weights that are left, by layer.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(9)])
    >>> figure = sparsity_bars(netopt.sparsity.prune(model, 0.5))
    >>> len(figure.axes)
    2

    Args:
        report: What `keras_netopt.sparsity.report(model)` returns.
        path: Picture file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report holds no weights that pruning chooses.
    """
    rows = list(report.pruned)
    if not rows:
        raise ValueError(
            "Argument `report` must hold at least one pruned weight. "
            f"Received: report={report!r}"
        )
    figure = new_figure(8.4, 1.3 + 0.34 * len(rows))
    shares, counts = figure.subplots(1, 2, sharey=True)
    y = np.arange(len(rows))
    zeros = [row.sparsity for row in rows]
    shares.barh(y, zeros, color=BLUE, height=0.7)
    for position, share in zip(y, zeros, strict=True):
        label_bar(shares, share, position, f"{share:.1%}")
    shares.axvline(report.sparsity, color=ORANGE, linewidth=1.4, zorder=0)
    shares.set_title(
        f"share of zeros (line: {report.sparsity:.1%} in all)", fontsize=10
    )
    shares.set_yticks(y, [shorten_label(row.key) for row in rows], fontsize=8)
    shares.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    shares.xaxis.set_major_formatter(percent)

    left = [row.weights - row.zeros for row in rows]
    gone = [row.zeros for row in rows]
    counts.barh(y, left, color=BLUE, height=0.7, label="left")
    counts.barh(y, gone, left=left, color=LIGHT, height=0.7, label="zero")
    counts.set_title("weights", fontsize=10)
    counts.xaxis.set_major_formatter(count)
    counts.legend(frameon=False, fontsize=8, loc="best")
    for axes in (shares, counts):
        style_axes(axes, grid="x")
        axes.tick_params(axis="y", length=0)
    return save_figure(figure, path)
