"""Removes the least important channels of a model in one shot."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_netopt.checks import check_bool, check_fraction
from keras_netopt.cost.summarize import check_countable
from keras_netopt.graph.symbolic import (
    assume_input_shape,
    check_input_shape,
    input_specs,
)
from keras_netopt.selectors import Selector
from keras_netopt.surgery.channels.unchanged_layers import group_reasons
from keras_netopt.surgery.cutting import channel_scores
from keras_netopt.surgery.cutting.channel_pruner import (
    ChannelCut,
    ChannelPruner,
)
from keras_netopt.surgery.cutting.default_meter import default_meter
from keras_netopt.surgery.cutting.recalibrate_batch_norm import (
    recalibrate_batch_norm,
)
from keras_netopt.surgery.cutting.width_search import MEASURED
from keras_netopt.surgery.edits.edit_report import EditReport, ModelSize
from keras_netopt.surgery.edits.remove import remove
from keras_netopt.training import NoEffectWarning
from keras_netopt.training.editing import editing

METHOD = "channel pruning"
DROP = (
    "accuracy drops until the model is fine-tuned; compare the result with "
    "the same shape trained from scratch"
)


def prune_channels(
    model: keras.Model,
    sparsity: float,
    *,
    score: Any = "magnitude",
    allocation: str = "uniform",
    resource: str = "channels",
    round_to: int | None = None,
    min_channels: int = 8,
    include: Selector | None = None,
    exclude: Selector | None = None,
    calibration_data: Any = None,
    meter: Callable[[keras.Model], float] | None = None,
    recalibrate: bool = False,
    seed: int = 0,
    allow_inexact: bool = False,
    input_shape: Any = None,
    dry_run: bool = False,
) -> EditReport:
    """Removes the least important channels of a model, at once.

    Each layer gets fewer channels, features or attention heads, and every
    weight coupled to them is removed. The model stays the same object with
    the same layers, ready to be trained, saved and exported. Accuracy drops
    at first: fine-tune afterwards, or use `callbacks.ChannelPruning`, which
    removes channels in steps during `fit`.

    Skipped and listed in the report: layers that reach the output of the
    model or that an unknown layer touches, channels that a normalization over
    the channels reads, the first convolution, and narrow layers.

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
        sparsity: Share to remove, a float in [0, 1).
        score: Importance score of a channel: "magnitude" (sum of |w|), "l2",
            "bn_scale" (|gamma| of batch normalization), "taylor" (|w times
            gradient|, needs `calibration_data`), "fpgm" (distance to the
            other channels), "random", or a `callable(variable) -> array` of
            the variable's shape. Defaults to `"magnitude"`.
        allocation: "uniform" (the same share of every layer), "global" (the
            lowest scores of all layers) or "isomorphic" (the lowest scores
            among layers of equal structure). Defaults to `"uniform"`.
        resource: What `sparsity` is a share of: "channels", "macs", "params",
            "bytes" of the LiteRT file, "latency" as measured by `meter`, or
            "meter", any other number that `meter` measures. Defaults to
            `"channels"`.
        round_to: Multiple of the new widths: each is rounded to the nearest
            one, and the total is kept near `sparsity`. Layers with fewer
            channels are skipped. Defaults to `None`: any width.
        min_channels: Channels that every layer keeps. Defaults to `8`.
        include: Layers to prune: a regular expression searched in the layer's
            path, "first" or "last" (layer whose channels may be removed), a
            layer, a layer class, a `callable(layer) -> bool`, or a list of
            those. Coupled layers are pruned with them. Defaults to `None`:
            all but the first convolution.
        exclude: Layers not to prune, in the same form. Defaults to `None`.
        calibration_data: Inputs, `(x, y)` or an iterable of batches; "taylor"
            needs `(x, y)`, `recalibrate` the inputs. Defaults to `None`.
        meter: `callable(model) -> float` for "latency", "bytes" and "meter",
            called on copies of the model, at most 8 times. Defaults to
            `None`: for "bytes" `export.FileMeter()`, a float32 file.
        recalibrate: Whether the averages of batch normalization are
            recomputed on `calibration_data` afterwards. Defaults to `False`.
        seed: Seed of "random". Defaults to `0`.
        allow_inexact: Whether to remove channels that a layer, group or RMS
            normalization reads. Defaults to `False`.
        input_shape: The shape of a typical input, batch axis included, e.g.
            `(None, 128)`; a structure of shapes for several inputs. "macs"
            and "latency" count at this shape where an axis of the inputs is
            free. Defaults to `None`: the model's own.
        dry_run: Whether to report only and change nothing. Defaults to
            `False`.

    Returns:
        The report: widths, sizes, skipped layers with reasons, and the share
        asked for and reached.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the model has no graph, a
            selector matches nothing or only layers that must not be pruned,
            or calibration data, a meter, or the `input_shape` that "macs"
            needs are missing. The model is unchanged then.

    Reference:
        Li et al., 2016, https://arxiv.org/abs/1608.08710 (magnitude of
        filters); Fang et al., 2023, https://arxiv.org/abs/2301.12900
        (coupled groups).
    """
    pruner = ChannelPruner.create(
        score=score,
        allocation=allocation,
        resource=resource,
        round_to=round_to,
        min_channels=min_channels,
        include=include,
        exclude=exclude,
        seed=seed,
        allow_inexact=allow_inexact,
    )
    sparsity = check_fraction(sparsity, "sparsity")
    channel_scores.check_calibration_data(score, calibration_data)
    check_recalibrate(recalibrate, calibration_data)
    check_meter(meter, resource)
    check_input_shape(input_shape)
    if input_shape is not None or not isinstance(model, keras.Model):
        input_specs(model, input_shape=input_shape)  # Checks the shapes.
    with editing(model), assume_input_shape(model, input_shape):
        if resource == "macs":
            check_countable(model, 'Argument `resource` "macs"')
        cut = pruner.choose_units(
            model,
            sparsity,
            data=calibration_data,
            meter=meter
            or (default_meter(resource) if resource == "bytes" else None),
        )
        if not cut.blocks:
            warnings.warn(describe_skipped(cut), NoEffectWarning, stacklevel=2)
        report = apply_cut(
            model,
            cut,
            allow_inexact=allow_inexact,
            data=calibration_data if recalibrate else None,
            dry_run=dry_run,
        )
    return add_shares(report, resource, sparsity, cut.kept, cut.asked)


def apply_cut(
    model: keras.Model,
    cut: ChannelCut,
    *,
    allow_inexact: bool = False,
    data: Any = None,
    dry_run: bool = False,
) -> EditReport:
    """Removes the units of a cut, with the skipped layers in the report.

    The averages of batch normalization are recomputed on `data`, if given.
    """
    if not cut.units:
        size = ModelSize.of(model)
        return EditReport(
            METHOD,
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
            recalibrate_batch_norm(model, data)
    notes = (*report.notes, *cut.notes, DROP)
    return dataclasses.replace(
        report, operation=METHOD, skipped=cut.skipped, notes=notes
    )


def add_shares(
    report: EditReport,
    resource: str,
    asked: float,
    kept: float,
    asked_widths: Mapping[str, float],
) -> EditReport:
    """Adds the shares asked for and reached, in total and for each layer.

    `kept` is the share of the removable channels that is kept, `asked_widths`
    the width asked for of each layer that may be pruned.
    """
    reached = 1 - kept
    if resource in ("macs", "params"):
        before = getattr(report.before, resource)
        reached = 1 - getattr(report.after, resource) / before
    note = f"sparsity of {resource}: asked {asked:.1%}"
    if resource == "macs" and report.before.is_lower_bound:
        note += " of the MACs that can be counted"
    if resource not in MEASURED:
        note += f", reached {reached:.1%}"
    rows = [
        dataclasses.replace(row, asked=asked_widths.get(row.layer))
        for row in report.widths
    ]
    return dataclasses.replace(
        report, widths=tuple(rows), notes=(note, *report.notes)
    )


def describe_skipped(cut: ChannelCut) -> str:
    """Describes why no layer can be pruned, for a warning."""
    rows = [f"{names} ({why})" for names, why in group_reasons(cut.skipped)]
    return (
        "no layer can be pruned, so the model is unchanged. Skipped: "
        f"{', '.join(rows) or 'no layer with channels'}. Name layers in "
        "`include`, or lower `min_channels`."
    )


def check_meter(meter: Any, resource: str) -> None:
    """Checks that the meter can be called, and that "meter" has one."""
    if meter is not None and not callable(meter):
        raise TypeError(
            "Argument `meter` must be a callable(model) -> float. "
            f"Received: meter={meter!r}"
        )
    if meter is None and resource == "meter":
        raise ValueError(
            "Argument `meter` must be a callable(model) -> float with "
            "resource='meter'. Received: meter=None"
        )


def check_recalibrate(recalibrate: Any, data: Any) -> None:
    """Checks the type, and that recalibration has calibration data."""
    check_bool(recalibrate, "recalibrate")
    if recalibrate and data is None:
        raise ValueError(
            "Argument `calibration_data` must be given with recalibrate=True: "
            "pass calibration_data=x. Received: calibration_data=None"
        )
