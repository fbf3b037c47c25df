"""Makes a model smaller by whole channels, at once."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import keras

from keras_netopt.checks import check_fraction
from keras_netopt.selectors import Selector
from keras_netopt.surgery.cutting import scores
from keras_netopt.surgery.cutting.channel_recipe import ChannelRecipe, Cut
from keras_netopt.surgery.cutting.recalibrate import (
    recalibrate as measure_norms,
)
from keras_netopt.surgery.edits.edit_report import (
    EditReport,
    ModelSize,
)
from keras_netopt.surgery.edits.remove import remove
from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.training import NoEffectWarning
from keras_netopt.training.editing import editing

DROP = (
    "accuracy drops until the model is trained on; compare the result with "
    "the same shape trained from scratch"
)


def prune_channels(
    model: keras.Model,
    ratio: float,
    *,
    score: Any = "magnitude",
    allocation: str = "uniform",
    target: str = "channels",
    round_to: int | None = None,
    min_channels: int = 8,
    include: Selector | None = None,
    exclude: Selector | None = None,
    data: Any = None,
    meter: Callable[[keras.Model], float] | None = None,
    recalibrate: bool = False,
    seed: int = 0,
    allow_inexact: bool = False,
    dry_run: bool = False,
) -> EditReport:
    """Cuts the least important channels out of a model, at once.

    The model really gets smaller: fewer channels, features or attention heads
    in each layer, with everything that is coupled to them. It stays the same
    object with the same layers, ready to be trained on, saved and exported.
    Accuracy drops at first; fine-tune afterwards, or use
    `callbacks.ChannelPruning`, which cuts in steps while `fit` runs.

    Left alone and listed in the report are: what reaches the output of the
    model, what an unknown layer touches, channels that a normalization over
    the channels mixes, the first convolution, and narrow layers.

    Example:

    >>> import keras
    >>> from keras_netopt import surgery
    >>> model = keras.Sequential([
    ...     keras.Input((16,)),
    ...     keras.layers.Dense(64, activation="relu", name="one"),
    ...     keras.layers.Dense(32, activation="relu", name="two"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> report = surgery.prune_channels(model, 0.5, round_to=8)
    >>> [(row.layer, row.before, row.after) for row in report.widths]
    [('one', 64, 32), ('two', 32, 16)]

    Args:
        model: A built Functional or Sequential model; changed in place.
        ratio: Share to cut away, a float in [0, 1).
        score: What a channel is worth: "magnitude" (or "l1", the sum of
            |w|), "l2", "bn_scale" (|gamma| of batch normalization),
            "taylor" (|w * gradient|, needs `data`), "fpgm" (distance to the
            other channels), "random", or a `callable(variable) -> array` of
            the variable's shape. Defaults to `"magnitude"`.
        allocation: "uniform" (the same share of every layer), "global" (the
            weakest of all layers) or "isomorphic" (the weakest among layers
            of equal structure). Defaults to `"uniform"`.
        target: What `ratio` is a share of: "channels", "macs", "params", or
            "latency" as `meter` measures it. Defaults to `"channels"`.
        round_to: New widths are multiples of so many channels, rounded down;
            a layer with fewer is left alone. Defaults to `None`.
        min_channels: Channels that every layer keeps. Defaults to `8`.
        include: Layers to cut: a name, a path, a regular expression that is
            searched in the path, a layer, a layer class, or a list of those.
            Defaults to `None`: all but the first convolution.
        exclude: Layers to leave alone, likewise. Defaults to `None`.
        data: `(x, y)` arrays or an iterable of such batches, for "taylor"
            and `recalibrate`. Defaults to `None`.
        meter: Measures a model, for the "latency" target; called on copies
            at most 8 times. Defaults to `None`.
        recalibrate: Whether batch normalization measures its averages anew
            on `data` after the cut. Defaults to `False`.
        seed: Seed of "random". Defaults to `0`.
        allow_inexact: Whether channels may go that a layer, group or RMS
            normalization mixes. Defaults to `False`.
        dry_run: Whether to change nothing and only report. Defaults to
            `False`.

    Returns:
        The report: widths, sizes, and what was left alone and why.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range, the model has no graph, a
            pattern matches nothing or only layers that must not be cut, or
            data or a meter are missing. The model is untouched then.

    Reference:
        Li et al., 2016, https://arxiv.org/abs/1608.08710 (magnitude of
        filters); Fang et al., 2023, https://arxiv.org/abs/2301.12900
        (coupled groups).
    """
    recipe = ChannelRecipe.create(
        score=score,
        allocation=allocation,
        target=target,
        round_to=round_to,
        min_channels=min_channels,
        include=include,
        exclude=exclude,
        seed=seed,
        allow_inexact=allow_inexact,
    )
    ratio = check_fraction(ratio, "ratio")
    scores.check_data(score, data)
    check_recalibrate(recalibrate, data)
    ChannelGraph(model)  # Finds a model that has none before anything else.
    with editing(model):
        cut = recipe.choose(model, ratio, data=data, meter=meter)
        if not cut.blocks:
            warnings.warn(nothing_to_cut(cut), NoEffectWarning, stacklevel=2)
        return make_cut(
            model,
            cut,
            allow_inexact=allow_inexact,
            data=data if recalibrate else None,
            dry_run=dry_run,
        )


def make_cut(
    model: keras.Model,
    cut: Cut,
    *,
    allow_inexact: bool = False,
    data: Any = None,
    dry_run: bool = False,
) -> EditReport:
    """Cuts what was chosen.

    Args:
        model: The model that the cut was chosen for.
        cut: The units, from `ChannelRecipe.choose`.
        allow_inexact: As in `remove`. Defaults to `False`.
        data: Data for new averages of batch normalization. Defaults to
            `None`: they stay as they are.
        dry_run: Whether to change nothing. Defaults to `False`.

    Returns:
        The report of `remove`, with what was left alone.
    """
    if not cut.units:
        size = ModelSize.of(model)
        return EditReport(
            "remove",
            size,
            size,
            skipped=cut.skipped,
            notes=cut.notes,
            dry_run=dry_run,
        )
    with editing(model):
        report = remove(
            model, cut.units, allow_inexact=allow_inexact, dry_run=dry_run
        )
        if data is not None and not dry_run:
            measure_norms(model, data)
    notes = (*report.notes, *cut.notes, DROP)
    return dataclasses.replace(report, skipped=cut.skipped, notes=notes)


def nothing_to_cut(cut: Cut) -> str:
    """Says why no layer can be cut, for a warning."""
    rows = [f"{name} ({why})" for name, why in cut.skipped]
    return (
        "no layer can be cut, the model stays as it is. Looked at: "
        f"{', '.join(rows) or 'no layer with channels'}. Name what to cut "
        "with `include`, or lower `min_channels`."
    )


def check_recalibrate(recalibrate: Any, data: Any) -> None:
    """Refuses what is not a bool, and recalibration without data."""
    if not isinstance(recalibrate, bool):
        raise TypeError(
            "Argument `recalibrate` must be True or False. "
            f"Received: recalibrate={recalibrate!r}"
        )
    if recalibrate and data is None:
        raise ValueError(
            "Argument `data` must be given with recalibrate=True: pass "
            "inputs as data=x. Received: data=None"
        )
