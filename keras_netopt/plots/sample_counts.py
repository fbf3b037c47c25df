"""Plot of sample counts by epoch."""

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_netopt.plots.style import (
    BLUE,
    GREY,
    RED,
    Path,
    new_figure,
    percent,
    save_figure,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROWS = 200


def sample_counts(
    counts: Any,
    scores: Any = None,
    *,
    highlight: Any = None,
    path: Path | None = None,
) -> "Figure":
    """Plots how often each epoch trained on each sample, as a heat map.

    Each row is a group of samples of similar difficulty, the easiest at the
    bottom. With `highlight`, a line above shows the share of those samples in
    each epoch, for instance of wrong labels.

    Example:

    >>> import numpy as np
    >>> counts = np.array([[2, 2, 0, 0], [1, 1, 1, 1]])
    >>> figure = sample_counts(counts, [0.1, 0.2, 0.7, 0.9], highlight=[3])
    >>> len(figure.axes)
    3

    Args:
        counts: Counts of shape `(epochs, samples)`, the second result of
            `Curriculum.sample_counts()`.
        scores: Difficulty of each sample. Defaults to `None`: samples
            have their natural order.
        highlight: Sample ids, or one boolean per sample. Defaults to
            `None`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the shapes do not match.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or not counts.size:
        raise ValueError(
            "Argument `counts` must have the shape (epochs, samples). "
            f"Received: counts of shape {counts.shape}"
        )
    samples = counts.shape[1]
    order = np.arange(samples)
    if scores is not None:
        order = np.argsort(_check_scores(scores, samples), kind="stable")
    figure = new_figure(6.4, 4.2 if highlight is None else 5.2)
    if highlight is None:
        map_axes = figure.subplots()
    else:
        share_axes, map_axes = figure.subplots(
            2, 1, sharex=True, height_ratios=(1, 3)
        )
        _draw_share(share_axes, counts, _as_mask(highlight, samples))
    rows = np.array_split(counts[:, order], min(samples, MAX_ROWS), axis=1)
    image = np.stack([row.mean(axis=1) for row in rows])
    heat_map = map_axes.imshow(
        image,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        cmap="Blues",
        vmin=0.0,
        extent=(-0.5, len(counts) - 0.5, 0.0, 1.0),
    )
    figure.colorbar(heat_map, ax=map_axes, label="batches in the epoch")
    known = "samples" if scores is None else "samples, easy to hard"
    map_axes.set(xlabel="epoch", ylabel=known)
    map_axes.yaxis.set_major_formatter(percent)
    map_axes.tick_params(colors=GREY, labelcolor="black")
    return save_figure(figure, path)


def _draw_share(axes: "Axes", counts: np.ndarray, mask: np.ndarray) -> None:
    total = counts.sum(axis=1, dtype="float64")
    share = counts[:, mask].sum(axis=1) / np.maximum(total, 1.0)
    axes.plot(np.arange(len(counts)), share, "o-", color=RED, markersize=4)
    axes.axhline(mask.mean(), color=BLUE, linewidth=1.2, linestyle="--")
    axes.annotate(
        "in the data",
        (0, mask.mean()),
        xytext=(0, 3),
        textcoords="offset points",
        color=BLUE,
        fontsize=8,
    )
    axes.yaxis.set_major_formatter(percent)
    axes.set_ylim(0.0, 1.15 * max(float(share.max()), float(mask.mean()), 1e-3))
    axes.set_title("share of highlighted samples", fontsize=10)
    style_axes(axes, grid="y")


def _check_scores(scores: Any, samples: int) -> np.ndarray:
    array = np.asarray(scores, "float64")
    if array.shape != (samples,):
        raise ValueError(
            f"Argument `scores` must hold one number for each of the {samples} "
            f"samples. Received: scores of shape {array.shape}"
        )
    return array


def _as_mask(highlight: Any, samples: int) -> np.ndarray:
    array = np.asarray(highlight)
    if array.dtype == bool and array.shape == (samples,):
        return array
    is_ids = array.dtype.kind in "iu" and array.ndim == 1 and len(array)
    if not is_ids or array.min() < 0 or array.max() >= samples:
        raise ValueError(
            "Argument `highlight` must hold sample ids, or a boolean for "
            f"each of the {samples} samples. Received: highlight of shape "
            f"{array.shape} and dtype {array.dtype}"
        )
    mask: np.ndarray = np.zeros(samples, bool)
    mask[array] = True
    return mask
