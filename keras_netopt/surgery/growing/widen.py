"""Adds units to layers without changing the outputs of the model."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.unchanged_layers import (
    list_unchanged,
    with_remedy,
)
from keras_netopt.surgery.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.edits import edit_lifecycle
from keras_netopt.surgery.edits.apply_plan import apply_plan
from keras_netopt.surgery.edits.edit_history import EditRecord, edit_operation
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.surgery.edits.edit_report import EditReport, width_changes
from keras_netopt.surgery.edits.output_difference import (
    check_preserved,
    snapshot,
)
from keras_netopt.surgery.growing import gradmax
from keras_netopt.surgery.growing.average_expansion import (
    AverageExpansion,
    plan_average_expansion,
)
from keras_netopt.surgery.growing.calibration_batch import (
    CalibrationBatch,
    first_batch,
)
from keras_netopt.surgery.growing.new_channel_statistics import (
    measure_new_channel_statistics,
)
from keras_netopt.surgery.growing.new_units import (
    NEW_UNITS,
    GrowthPlan,
    plan_growth,
    plan_replication,
)
from keras_netopt.surgery.growing.symmetry_breaking import (
    find_half_precision_layer,
    find_random_layer,
)
from keras_netopt.surgery.growing.target_width import (
    check_target_width,
    target_width,
)
from keras_netopt.training.editing import editing
from keras_netopt.training.slot_checks import check_optimizer


@edit_operation
def widen(
    model: keras.Model,
    layer: Any,
    *,
    to: int | None = None,
    factor: float | None = None,
    add: int | None = None,
    new_units: str = "zero",
    round_to: int | None = None,
    kind: str = "",
    calibration_data: Any = None,
    seed: int = 0,
    dry_run: bool = False,
) -> EditReport:
    """Adds channels, features or heads to a layer and preserves the outputs.

    The edit is in place: the model, its layers and its variables stay the
    same objects. Every coupled layer grows with it, and optimizer slots and
    masks are carried over. Works on a trained model and inside a callback
    while `fit` runs.

    Example:

    >>> import keras
    >>> from keras_netopt import surgery
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)),
    ...     keras.layers.Conv2D(4, 3, name="conv"),
    ...     keras.layers.BatchNormalization(),
    ...     keras.layers.Flatten(),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> before = surgery.snapshot(model)
    >>> report = surgery.widen(model, "conv", factor=1.5)
    >>> model.get_layer("conv").filters, model.count_params()
    (6, 626)
    >>> surgery.check_preserved(before, model).verdict
    'exact'

    Args:
        model: A built Functional or Sequential model.
        layer: The layer to widen: its name, its path in nested models
            ("encoder/conv") or the layer object.
        to: Number of units after the edit. Give one of `to`, `factor` and
            `add`. Defaults to `None`.
        factor: New number of units as a multiple of the old one, above 1.
            Defaults to `None`.
        add: Number of units to add, at least 1. Defaults to `None`.
        new_units: Initialization of new units. "zero": random incoming, zero
            outgoing weights. "paired": pairs with equal incoming and opposite
            outgoing weights. "net2net": copies of old units that share the
            outgoing weights unevenly. "gradmax": zero incoming weights and
            the outgoing weights that maximize the gradient norm; needs
            `calibration_data` with targets and a compiled model. "random":
            all weights random, which changes the outputs. Where the choice
            does not preserve the outputs, another one is used and reported.
            Defaults to `"zero"`.
        round_to: Round the width up to a multiple of this. Defaults to
            `None`.
        kind: Kind of units, for layers with several kinds; `surgery.explain`
            lists them. Defaults to `""`: channels, features or heads.
        calibration_data: Inputs, `(x, y)` or an iterable of batches; one
            batch of 128 samples is used for "gradmax", for the statistics of
            new channels in batch normalization, and to measure how much the
            outputs change. Defaults to `None`.
        seed: Seed of new weights. Defaults to `0`.
        dry_run: Whether to leave the model unchanged and only report.
            Defaults to `False`.

    Returns:
        The report; `print` it.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the layer is unknown, may not grow (the message gives
            the reason) or already has this many units; if an argument is out
            of range; if "gradmax" has no `calibration_data`. The model is
            unchanged then.

    Reference:
        Chen et al., *Net2Net*, 2016, https://arxiv.org/abs/1511.05641; Yuan
        et al., 2023, https://arxiv.org/abs/2306.12700 (paired); Evci et al.,
        *GradMax*, 2022, https://arxiv.org/abs/2201.05125; Wang et al.,
        *LEMON*, 2023, https://arxiv.org/abs/2310.07999 (uneven shares,
        average expansion).
    """
    batch = first_batch(calibration_data)
    graph = ChannelGraph(model)
    found = plan_widen(
        graph,
        layer,
        to=to,
        factor=factor,
        add=add,
        new_units=new_units,
        round_to=round_to,
        kind=kind,
        batch=batch,
        seed=seed,
        shapes_only=dry_run,
    )
    check_optimizer(model, zero_outgoing=found.has_zero_outgoing)
    edit: EditRecord = {
        "operation": "widen",
        "layer": graph.path(graph.find(layer)),
        "to": found.width,
        "new_units": found.replay_init,
        "kind": kind,
        "seed": int(seed),
    }
    if dry_run:
        report = edit_lifecycle.dry_run_edit(model, widen, edit)
        return dataclasses.replace(report, notes=found.notes)
    widths = width_changes(graph, found.plan, [graph.producer(layer, kind)])
    skipped = list_unchanged(graph, found.plan.copies)
    # `Growing` passes a batch and measures all edits of a growth together.
    is_alone = not isinstance(calibration_data, CalibrationBatch)
    with editing(model):
        old = snapshot(model, batch.x) if is_alone and batch else None
        before = edit_lifecycle.ModelOutline.of(model)
        applied = apply_plan(model, graph, found.plan)
        if found.expansion is not None:
            found.expansion.rescale_epsilons()
        if batch is not None:
            measure_new_channel_statistics(model, found.plan, batch.x)
        return edit_lifecycle.record_edit(
            model,
            edit,
            before,
            widths=widths,
            skipped=skipped,
            slots=applied.slots,
            notes=found.notes,
            output_difference=old and check_preserved(old, model),
        )


@dataclass(frozen=True)
class WidenPlan:
    """The edit plan of `widen` with its decisions.

    `width` is the number of units of the layer after the edit, `expansion` the
    correction of the normalizations over the units.
    """

    plan: EditPlan
    width: int
    new_units: str
    notes: tuple[str, ...]
    has_zero_outgoing: bool
    expansion: AverageExpansion | None = None

    @property
    def replay_init(self) -> str:
        """The initialization that gives the same shapes without data."""
        return "zero" if self.new_units == "gradmax" else self.new_units


def plan_widen(
    graph: ChannelGraph,
    layer: Any,
    *,
    to: int | None = None,
    factor: float | None = None,
    add: int | None = None,
    new_units: str = "zero",
    round_to: int | None = None,
    kind: str = "",
    batch: CalibrationBatch | None = None,
    seed: int = 0,
    shapes_only: bool = False,
) -> WidenPlan:
    """Plans the edit of `widen` for a graph; the model is unchanged.

    The arguments are those of `widen`, except `batch`, one batch of data, and
    `shapes_only`: whether only the shapes matter, as in a dry run.
    """
    check_target_width(to, factor, add, round_to)
    check_choice(new_units, "new_units", NEW_UNITS)
    check_integer(seed, "seed")
    if new_units == "gradmax" and not shapes_only:
        gradmax.check_calibration_batch(batch)
    own = graph.units(layer, kind)
    width = target_width(len(own), to, factor, add, round_to)
    path = graph.path(graph.find(layer))
    if width <= len(own):
        raise ValueError(
            f"Argument `to` must be above {len(own)}, the number of units of "
            f"layer '{path}'. To make a layer smaller use `surgery.remove`. "
            f"Received: to={width}"
        )
    groups = _check_growable(graph, own, path)
    expansion = None
    if any(one in graph.normalized_by for one in groups):
        growth, notes, expansion = _plan_normalized(
            graph, own, width, new_units, seed, path
        )
        used = "zero" if expansion else "net2net"
    else:
        extra = _extra_groups(own, width, path)
        used, notes = _choose_init(graph, layer, kind, groups, new_units)
        growth = plan_growth(graph, groups, extra, used, seed)
        if used == "gradmax" and not shapes_only and batch is not None:
            pair = gradmax.find_layer_pair(graph, layer, kind)
            notes += gradmax.set_gradmax_weights(graph, pair, growth, batch)
    return WidenPlan(
        growth.edit_plan(graph, seed),
        width,
        used,
        tuple(notes),
        growth.has_zero_outgoing or expansion is not None,
        expansion,
    )


def _check_growable(
    graph: ChannelGraph, own: np.ndarray, path: str
) -> np.ndarray:
    """Returns the groups of a layer; raises if one may not be replicated."""
    groups = np.unique(own)
    for reasons in (graph.protected, graph.not_replicable):
        for one in groups:
            if one in reasons:
                raise ValueError(
                    "Argument `layer` must name a layer that may grow; one "
                    f"of the units of '{path}' {with_remedy(reasons[one])}. "
                    f"Received: layer={path!r}"
                )
    return groups


def _extra_groups(own: np.ndarray, width: int, path: str) -> int:
    """Returns the number of groups to copy to reach a width."""
    each = np.unique(np.unique(own, return_counts=True)[1])
    step = int(each[0])
    if len(each) > 1 or (width - len(own)) % step:
        raise ValueError(
            f"Argument `to` must add a multiple of {max(each)} units, which "
            f"are coupled in layer '{path}' of {len(own)} units. "
            f"Received: to={width}"
        )
    return (width - len(own)) // step


def _choose_init(
    graph: ChannelGraph, layer: Any, kind: str, groups: np.ndarray, wanted: str
) -> tuple[str, list[str]]:
    """Returns the initialization to use, and notes if it is not `wanted`."""
    reason = None
    random = find_random_layer(graph, groups)
    if wanted == "paired":
        reason = random or find_half_precision_layer(graph, groups)
    elif wanted == "gradmax":
        reason = gradmax.find_layer_pair(graph, layer, kind).reason
    elif wanted == "net2net" and random:
        note = f"exact in inference, in training on average only: {random}"
        return wanted, [note]
    if reason is None:
        return wanted, []
    return "zero", [_replaced("zero", wanted, reason)]


def _replaced(used: str, wanted: str, reason: str) -> str:
    return f"new_units={used!r} is used instead of {wanted!r}: {reason}"


def _plan_normalized(
    graph: ChannelGraph,
    own: np.ndarray,
    width: int,
    new_units: str,
    seed: int,
    path: str,
) -> tuple[GrowthPlan, list[str], AverageExpansion | None]:
    """Plans growth of all units that a normalization computes over."""
    groups = _add_normalized_together(graph, np.unique(own))
    name = next(
        graph.normalized_by[one] for one in groups if one in graph.normalized_by
    )
    _check_growable(graph, groups, path)
    times, rest = divmod(width, len(own))
    if rest:
        found = _plan_average(graph, groups, own, width, seed, path, name)
        note = (
            "new units start as the mean of the old ones or as zero: "
            f"{name} normalizes over all units"
        )
        return found.growth, [note], found
    notes = []
    if new_units != "net2net":
        reason = f"{name} normalizes over all units, only copies preserve it"
        notes.append(_replaced("net2net", new_units, reason))
    return plan_replication(graph, groups, times, seed), notes, None


def _plan_average(
    graph: ChannelGraph,
    groups: np.ndarray,
    own: np.ndarray,
    width: int,
    seed: int,
    path: str,
    name: str,
) -> AverageExpansion:
    try:
        if len(np.unique(own)) != len(own) or len(groups) != len(own):
            raise UnsupportedLayer(f"'{path}' does not make each unit once")
        return plan_average_expansion(graph, groups, width - len(own), seed)
    except UnsupportedLayer as error:
        raise ValueError(
            f"Argument `to` must be a multiple of the {len(own)} units of "
            f"layer '{path}': {name} normalizes over all of them, which is "
            "preserved only if each unit is copied equally often; average "
            f"expansion is not possible because {error}. Received: to={width}"
        ) from error


def _add_normalized_together(
    graph: ChannelGraph, groups: np.ndarray
) -> np.ndarray:
    """Adds the groups that share a normalization with those given."""
    sets = graph.normalized_together()
    found = set(groups.tolist())
    changed = True
    while changed:
        changed = False
        for normalized in sets:
            members = set(normalized.tolist())
            if found & members and not members <= found:
                found |= members
                changed = True
    return np.array(sorted(found))
