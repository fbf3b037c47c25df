"""Every picture of the package; needs matplotlib, `keras-netopt[plots]`.

Figures are made without `pyplot`: no global state, no window, no backend to
choose. Each function returns a figure, which notebooks show by themselves,
and writes a file where it is given a path.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Path = str | os.PathLike[str]

BLUE, ORANGE, GREEN = "#2a6fbb", "#e07b39", "#3a9a6d"
PURPLE, RED, GREY, LIGHT = "#8a5fb0", "#c8443e", "#6b7280", "#d9dde3"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)
MARKERS = "osD^vP"
LABEL_LENGTH = 34


class _Curve(Protocol):
    """What a schedule can do, as far as a picture needs it."""

    def values(self, total: int, steps_per_epoch: int | None) -> np.ndarray: ...


@dataclass(frozen=True)
class ModelPoint:
    """What `model_comparison` draws of one model.

    Example:

    >>> point = ModelPoint("dense", accuracy=0.88, sizes={"float": 64_000})
    >>> point.zeros
    {}

    Args:
        name: The model.
        accuracy: Share of right answers, in [0, 1].
        error: Standard error of `accuracy`. Defaults to `0.0`.
        sizes: Bytes of its files by variant. Defaults to none.
        zeros: Share of zeros by layer, in [0, 1]. Defaults to none.
    """

    name: str
    accuracy: float
    error: float = 0.0
    sizes: Mapping[str, int] = field(default_factory=dict)
    zeros: Mapping[str, float] = field(default_factory=dict)


def schedule_curve(
    schedule: _Curve,
    *,
    total: int = 100,
    steps_per_epoch: int | None = None,
    path: Path | None = None,
) -> "Figure":
    """Draws a schedule over a run.

    Example:

    >>> from keras_netopt.schedules import Polynomial
    >>> figure = schedule_curve(Polynomial(final=0.9), total=1000)
    >>> figure.axes[0].get_xlabel()
    'step'

    Args:
        schedule: A schedule from `keras_netopt.schedules`.
        total: Steps of the run, at least 1. Defaults to `100`.
        steps_per_epoch: Steps an epoch, a divisor of `total`. Defaults to
            `None`: the run is one epoch.
        path: Picture file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the schedule does not fit the run.
    """
    figure = _new_figure(6.4, 3.6)
    values = schedule.values(total, steps_per_epoch)
    axes = figure.subplots()
    # Few different values are levels: they hold until the next step.
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
    axes.set_title(_wrapped(str(schedule), 78), fontsize=9, color=GREY)
    axes.margins(y=0.08)
    _tidy(axes, grid="y")
    return _written(figure, path)


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
    figure = _new_figure(8.4, 1.3 + 0.34 * len(rows))
    shares, counts = figure.subplots(1, 2, sharey=True)
    y = np.arange(len(rows))
    zeros = [row.sparsity for row in rows]
    shares.barh(y, zeros, color=BLUE, height=0.7)
    for position, share in zip(y, zeros, strict=True):
        _label_bar(shares, share, position, f"{share:.1%}")
    shares.axvline(report.sparsity, color=ORANGE, linewidth=1.4, zorder=0)
    shares.set_title(
        f"share of zeros (line: {report.sparsity:.1%} in all)", fontsize=10
    )
    shares.set_yticks(y, [_short(row.key) for row in rows], fontsize=8)
    shares.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    shares.xaxis.set_major_formatter(_percent)

    left = [row.weights - row.zeros for row in rows]
    gone = [row.zeros for row in rows]
    counts.barh(y, left, color=BLUE, height=0.7, label="left")
    counts.barh(y, gone, left=left, color=LIGHT, height=0.7, label="zero")
    counts.set_title("weights", fontsize=10)
    counts.xaxis.set_major_formatter(_count)
    counts.legend(frameon=False, fontsize=8, loc="best")
    for axes in (shares, counts):
        _tidy(axes, grid="x")
        axes.tick_params(axis="y", length=0)
    return _written(figure, path)


def model_comparison(
    models: Sequence[ModelPoint],
    *,
    title: str | None = None,
    path: Path | None = None,
) -> "Figure":
    """Draws accuracy against file size, and the zeros of each layer.

    Example:

    >>> dense = ModelPoint("dense", 0.88, sizes={"float": 64_000})
    >>> sparse = ModelPoint("90 %", 0.87, sizes={"float": 9_000})
    >>> figure = model_comparison([dense, sparse])
    >>> figure.axes[0].get_ylabel()
    'accuracy'

    Args:
        models: The models; a colour each, a marker each variant of file.
        title: A line above. Defaults to `None`.
        path: Picture file to write. Defaults to `None`: no file.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is nothing to draw.
    """
    layers = list(dict.fromkeys(key for m in models for key in m.zeros))
    has_sizes = any(m.sizes for m in models)
    if not layers and not has_sizes:
        raise ValueError(
            "Argument `models` must hold at least one model with sizes or "
            f"zeros. Received: models={models!r}"
        )
    both = has_sizes and bool(layers)
    figure = _new_figure(10.4 if both else 6.4, 4.2)
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
    return _written(figure, path)


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
    _scale_sizes(axes)
    axes.yaxis.set_major_formatter(_percent)
    axes.set_ylabel("accuracy")
    axes.margins(x=0.12, y=0.15)
    axes.set_title("accuracy against file size", fontsize=10)
    _legend_below(axes)
    _tidy(axes, grid="both")


def _draw_spread(
    axes: "Axes", model: ModelPoint, color: str, sizes: list[float]
) -> None:
    """Joins the files of a model and says once how sure its accuracy is."""
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


def _scale_sizes(axes: "Axes") -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(_kilobytes)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)


def _legend_below(axes: "Axes") -> None:
    _, names = axes.get_legend_handles_labels()
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
        ncols=max(len(names), 1),
        frameon=False,
        fontsize=9,
        handletextpad=0.4,
        columnspacing=1.2,
    )


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
            _label_bar(axes, share, position, f"{share:.0%}")
    axes.set_yticks(range(len(layers)), [_short(layer) for layer in layers])
    axes.set(xlim=(0, 1), ylim=(len(layers) - 0.5, -0.5))
    axes.xaxis.set_major_formatter(_percent)
    axes.set_title("share of zeros by layer", fontsize=10)
    _legend_below(axes)
    _tidy(axes, grid="x")
    axes.tick_params(axis="y", length=0, labelsize=8)


def _label_bar(axes: "Axes", share: float, y: Any, text: str) -> None:
    inside = share > 0.5
    axes.annotate(
        text,
        (share, y),
        xytext=(-4 if inside else 4, 0),
        textcoords="offset points",
        ha="right" if inside else "left",
        va="center",
        fontsize=8,
        color="white" if inside else GREY,
    )


def _colors(models: Sequence[ModelPoint]) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(len(models))]


def _percent(value: float, _: float) -> str:
    return f"{100 * value:.4g} %"


def _kilobytes(value: float, _: float) -> str:
    return f"{value:,.4g} kB"


def _count(value: float, _: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.4g}{name}"
    return f"{value:.4g}"


def _short(name: str) -> str:
    if len(name) <= LABEL_LENGTH:
        return name
    return "…" + name[1 - LABEL_LENGTH :]


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def _tidy(axes: "Axes", *, grid: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor="black")
    axes.grid(axis=grid, color=LIGHT, linewidth=0.7)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def _new_figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib. Install it with: "
            'pip install "keras-netopt[plots]"'
        ) from error

    class NotebookFigure(Figure):
        """A figure that notebooks show although pyplot does not know it."""

        def _repr_png_(self) -> bytes:
            import io

            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=110)
            return buffer.getvalue()

    return NotebookFigure(figsize=(width, height), layout="constrained")


def _written(figure: "Figure", path: Path | None) -> "Figure":
    if path is not None:
        figure.savefig(path, dpi=150, facecolor="white")
    return figure
