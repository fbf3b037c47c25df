"""Plot of the sparsity of the layers of a model."""

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
    save_figure,
    style_axes,
    style_share_bars,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sparsity_bars(report: Any, *, path: Path | None = None) -> "Figure":
    """Plots the share of zeros and the number of nonzero weights by layer.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(9)])
    >>> figure = sparsity_bars(netopt.sparsity.prune(model, 0.5))
    >>> len(figure.axes)
    2

    Args:
        report: The result of `keras_netopt.sparsity.report(model)`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no pruned weight.
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
    style_share_bars(shares, [row.key for row in rows], fontsize=8)

    nonzero = [row.weights - row.zeros for row in rows]
    empty = [row.zeros for row in rows]
    counts.barh(y, nonzero, color=BLUE, height=0.7, label="nonzero")
    counts.barh(y, empty, left=nonzero, color=LIGHT, height=0.7, label="zero")
    counts.set_title("weights", fontsize=10)
    counts.xaxis.set_major_formatter(count)
    counts.legend(frameon=False, fontsize=8, loc="best")
    style_axes(counts, grid="x")
    counts.tick_params(axis="y", length=0)
    return save_figure(figure, path)
