"""Plot of the loss against the learning rate."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from keras_netopt.plots.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    Path,
    legend_above,
    new_figure,
    save_figure,
    style_axes,
    wrap_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Characters, and inches at a font size of 8.
NOTE_WIDTH, NOTE_LINE = 100, 0.14


def learning_rate_curve(
    history: Mapping[str, Sequence[float]],
    *,
    suggestion: float | None = None,
    steepest: float | None = None,
    note: str | None = None,
    path: Path | None = None,
) -> "Figure":
    """Plots the losses of a learning rate sweep and the suggested rates.

    Example:

    >>> sweep = {"learning_rate": [0.1, 1.0], "loss": [2.0, 1.0],
    ...          "smoothed_loss": [2.0, 1.5]}
    >>> figure = learning_rate_curve(sweep, suggestion=0.1)
    >>> figure.axes[0].get_xscale()
    'log'

    Args:
        history: `LearningRateFinder.history`.
        suggestion: The rate to mark. Defaults to `None`.
        steepest: A second rate to mark. Defaults to `None`.
        note: Sentences below the curve. Defaults to `None`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the history is empty.
    """
    rates, smoothed = history["learning_rate"], history["smoothed_loss"]
    if not rates:
        raise ValueError(
            "Argument `history` must hold at least one batch: call `fit` with "
            f"the finder first. Received: history={dict(history)!r}"
        )
    text = wrap_text(note or "", NOTE_WIDTH)
    lines = text.count("\n") + bool(text)
    figure = new_figure(6.4, 3.8 + NOTE_LINE * lines)
    if text:  # Outside the axes, where no curve is.
        figure.supxlabel(text, x=0.02, ha="left", fontsize=8, color=GREY)
    axes = figure.subplots()
    axes.plot(
        rates,
        history["loss"],
        "o",
        color=LIGHT,
        markersize=3,
        label="loss of a batch",
    )
    axes.plot(rates, smoothed, color=BLUE, linewidth=2.0, label="smoothed")
    marks = ((suggestion, ORANGE, "suggestion"), (steepest, GREEN, "steepest"))
    for rate, color, name in marks:
        if rate is not None:
            label = f"{name} {rate:.2g}"
            axes.axvline(rate, color=color, linewidth=1.4, label=label)
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    finite = [loss for loss in smoothed if loss == loss and abs(loss) < 1e300]
    if finite:  # Without limits the divergence would flatten the curve.
        low, high = min(finite), max(finite[: len(finite) // 2 + 1])
        room = 0.25 * (high - low) or 1.0
        axes.set_ylim(low - room, high + room)
    legend_above(axes)
    style_axes(axes, grid="y")
    return save_figure(figure, path)
