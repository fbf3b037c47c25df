"""Comparison of models: accuracy, file size and zeros per layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from keras_netopt.plots.style import (
    GREY,
    MARKERS,
    SERIES,
    Path,
    kilobytes,
    label_bar,
    legend_below,
    new_figure,
    percent,
    save_figure,
    style_axes,
    style_share_bars,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ModelPoint:
    """One model in `model_comparison`.

    Example:

    >>> point = ModelPoint("dense", accuracy=0.88, sizes={"float": 64_000})
    >>> point.zeros
    {}

    Args:
        name: The name of the model.
        accuracy: Accuracy, in [0, 1].
        error: Standard error of `accuracy`. Defaults to `0.0`.
        sizes: Bytes of its files, by variant. Defaults to none.
        zeros: Share of zeros by layer, in [0, 1]. Defaults to none.
    """

    name: str
    accuracy: float
    error: float = 0.0
    sizes: Mapping[str, int] = field(default_factory=dict)
    zeros: Mapping[str, float] = field(default_factory=dict)


def model_comparison(
    models: Sequence[ModelPoint],
    *,
    title: str | None = None,
    path: Path | None = None,
) -> "Figure":
    """Plots accuracy against file size, and the zeros of each layer.

    Example:

    >>> dense = ModelPoint("dense", 0.88, sizes={"float": 64_000})
    >>> sparse = ModelPoint("90 %", 0.87, sizes={"float": 9_000})
    >>> figure = model_comparison([dense, sparse])
    >>> figure.axes[0].get_ylabel()
    'accuracy'

    Args:
        models: The models, one colour per model and one marker per variant.
        title: Title of the figure. Defaults to `None`.
        path: Image file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If no model has sizes or zeros.
    """
    layers = list(dict.fromkeys(key for m in models for key in m.zeros))
    has_sizes = any(m.sizes for m in models)
    if not layers and not has_sizes:
        raise ValueError(
            "Argument `models` must hold at least one model with sizes or "
            f"zeros. Received: models={models!r}"
        )
    both = has_sizes and bool(layers)
    figure = new_figure(10.4 if both else 6.4, 4.2)
    if title is not None:
        figure.suptitle(title, fontsize=11)
    if both:
        plane, bars = figure.subplots(1, 2, width_ratios=(1.25, 1))
    else:
        plane = bars = figure.subplots()
    if has_sizes:
        _draw_sizes(plane, models)
    if layers:
        _draw_zeros(bars, models, layers)
    return save_figure(figure, path)


def _draw_sizes(axes: "Axes", models: Sequence[ModelPoint]) -> None:
    variants = list(dict.fromkeys(key for m in models for key in m.sizes))
    for color, model in zip(_colors(models), models, strict=True):
        sizes = {v: size / 1e3 for v, size in model.sizes.items()}
        for marker, variant in zip(MARKERS, variants, strict=False):
            if variant in sizes:
                at = sizes[variant], model.accuracy
                axes.plot(
                    *at,
                    marker,
                    color=color,
                    markersize=8,
                    markeredgecolor="white",
                    zorder=3,
                )
        if sizes:
            _draw_spread(axes, model, color, sorted(sizes.values()))
    for marker, variant in zip(MARKERS, variants, strict=False):
        axes.plot([], [], marker, color=GREY, label=variant)
    scale_sizes(axes)
    axes.yaxis.set_major_formatter(percent)
    axes.set_ylabel("accuracy")
    axes.margins(x=0.12, y=0.15)
    axes.set_title("accuracy against file size", fontsize=10)
    legend_below(axes)
    style_axes(axes, grid="both")


def _draw_spread(
    axes: "Axes", model: ModelPoint, color: str, sizes: list[float]
) -> None:
    """Connects the files of a model and plots its error bar once."""
    level = model.accuracy
    axes.plot([sizes[0], sizes[-1]], [level] * 2, color=color, alpha=0.35)
    if model.error:
        axes.errorbar(
            sizes[-1], level, yerr=model.error, color=color, capsize=3
        )
    axes.annotate(
        model.name,
        (sizes[0], level),
        xytext=(-4, 8),
        textcoords="offset points",
        color=color,
        fontsize=10,
        fontweight="bold",
    )


def scale_sizes(axes: "Axes") -> None:
    """Formats an axis of file sizes: logarithmic, in kilobytes."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(kilobytes)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)


def _draw_zeros(
    axes: "Axes", models: Sequence[ModelPoint], layers: Sequence[str]
) -> None:
    shown = [
        (color, model)
        for color, model in zip(_colors(models), models, strict=True)
        if model.zeros
    ]
    height = 0.8 / len(shown)
    for k, (color, model) in enumerate(shown):
        y = np.arange(len(layers)) + (k + 0.5) * height - 0.4
        shares = [model.zeros.get(layer, 0.0) for layer in layers]
        axes.barh(y, shares, height=0.9 * height, color=color, label=model.name)
        for position, share in zip(y, shares, strict=True):
            label_bar(axes, share, position, f"{share:.0%}")
    axes.set_title("share of zeros by layer", fontsize=10)
    legend_below(axes)
    style_share_bars(axes, layers, fontsize=8)


def _colors(models: Sequence[ModelPoint]) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(len(models))]
