"""Gives layers more units without changing what the model computes."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.surgery.edits import edit_lifecycle
from keras_netopt.surgery.edits.edit import apply
from keras_netopt.surgery.edits.journal import Event, verb
from keras_netopt.surgery.edits.plan import EditPlan
from keras_netopt.surgery.edits.preserve import check_preserved, snapshot
from keras_netopt.surgery.edits.report import EditReport, width_changes
from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.surgery.graph.units import Unsupported
from keras_netopt.surgery.growing import gradmax
from keras_netopt.surgery.growing.actions import check_amount, new_width
from keras_netopt.surgery.growing.averaging import Averaging, average
from keras_netopt.surgery.growing.fresh_statistics import (
    measure_fresh_statistics,
)
from keras_netopt.surgery.growing.new_units import KINDS, Growth, grow, multiply
from keras_netopt.surgery.growing.noise import blur, randomness
from keras_netopt.surgery.growing.sample import Sample, first_batch


@verb
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
    data: Any = None,
    seed: int = 0,
    dry_run: bool = False,
) -> EditReport:
    """Gives a layer more channels, features or heads; outputs stay the same.

    The model, its layers and its variables stay the same objects; every
    layer that is coupled grows with it, and optimizer slots and masks follow.
    It works on a trained model as well as inside a callback while `fit` runs.

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
        layer: Name of the layer, its path in nested models ("encoder/conv")
            or the layer itself.
        to: Units afterwards. Give one of `to`, `factor` and `add`. Defaults
            to `None`.
        factor: Units afterwards as a multiple of those before, above 1.
            Defaults to `None`.
        add: Units to add, at least 1. Defaults to `None`.
        new_units: How new units begin. "zero": random incoming, zero outgoing
            weights. "paired": twins with opposite outgoing weights.
            "net2net": copies of old units that share their outgoing weights
            unevenly. "gradmax": zero incoming weights, outgoing ones that
            make the gradient large; needs `data` with targets and a compiled
            model. "random": all weights random, the outputs change. Where one
            is not exact, the report says which was taken instead. Defaults to
            `"zero"`.
        round_to: Round the width up to a multiple of this. Defaults to
            `None`.
        kind: Which units, where a layer has more than one kind:
            `surgery.explain` lists them. Defaults to `""`, the channels or
            heads.
        data: A batch as for `fit`, a tuple `(x, y)` or inputs alone: for
            "gradmax", for the statistics of new channels in batch
            normalization, and to measure how far the outputs have moved.
            Defaults to `None`.
        seed: Seed of new weights. Defaults to `0`.
        dry_run: Whether to change nothing and only report. Defaults to
            `False`.

    Returns:
        The report; `print` it.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the layer is not known, may not grow (the text names
            the reason), or has as many units already; if an argument is out
            of range; if "gradmax" has no data. The model is untouched then.

    Reference:
        Chen et al., *Net2Net*, 2016, https://arxiv.org/abs/1511.05641; Yuan
        et al., 2023, https://arxiv.org/abs/2306.12700 (paired); Evci et al.,
        *GradMax*, 2022, https://arxiv.org/abs/2201.05125; Wang et al.,
        *LEMON*, 2023, https://arxiv.org/abs/2310.07999 (uneven shares, and
        streams that a normalization reads).
    """
    sample = first_batch(data)
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
        sample=sample,
        seed=seed,
        rehearsal=dry_run,
    )
    edit_lifecycle.check_optimizer(model, zero_outgoing=found.is_silent)
    event: Event = {
        "verb": "widen",
        "layer": graph.path(graph.find(layer)),
        "to": found.width,
        "new_units": found.placement,
        "kind": kind,
        "seed": int(seed),
    }
    if dry_run:
        report = edit_lifecycle.rehearse(model, widen, event)
        return dataclasses.replace(report, notes=found.notes)
    before = edit_lifecycle.Before.of(model)
    widths = width_changes(graph, found.plan, {event["layer"]})
    # A callback hands a sample over and measures all its edits at once.
    is_alone = sample is not None and not isinstance(data, Sample)
    old = snapshot(model, sample.x) if is_alone and sample else None
    change = apply(model, graph, found.plan)
    if found.averaging is not None:
        found.averaging.settle()
    if sample is not None:
        measure_fresh_statistics(model, found.plan, sample.x)
    return edit_lifecycle.finish(
        model,
        event,
        before,
        widths=widths,
        slots=change.slots,
        notes=found.notes,
        preserved=None if old is None else check_preserved(old, model),
    )


@dataclass(frozen=True)
class Widening:
    """A plan that widens, and what was decided on the way.

    Args:
        plan: The plan.
        width: Units of the layer afterwards.
        new_units: How the new units begin.
        notes: What the user should know.
        is_silent: Whether units without outgoing weights are made.
        averaging: What becomes of normalizations over the units, or `None`.
    """

    plan: EditPlan
    width: int
    new_units: str
    notes: tuple[str, ...]
    is_silent: bool
    averaging: Averaging | None = None

    @property
    def placement(self) -> str:
        """What leads to the same shapes without data."""
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
    sample: Sample | None = None,
    seed: int = 0,
    rehearsal: bool = False,
) -> Widening:
    """Makes the plan of `widen`; the model is not touched.

    Args:
        graph: The graph of the model as it is.
        layer: As in `widen`.
        to: As in `widen`.
        factor: As in `widen`.
        add: As in `widen`.
        new_units: As in `widen`.
        round_to: As in `widen`.
        kind: As in `widen`.
        sample: One batch of data. Defaults to `None`.
        seed: As in `widen`.
        rehearsal: Whether only the shapes count. Defaults to `False`.

    Returns:
        The plan and what was decided.

    Raises:
        TypeError: As `widen`.
        ValueError: As `widen`.
    """
    check_amount(to, factor, add)
    check_choice(new_units, "new_units", KINDS)
    check_integer(seed, "seed")
    if round_to is not None:
        check_integer(round_to, "round_to", minimum=1)
    if new_units == "gradmax" and not rehearsal:
        gradmax.check_data(sample)
    own = graph.units(layer, kind)
    width = new_width(len(own), to, factor, add, round_to)
    where = graph.path(graph.find(layer))
    if width <= len(own):
        raise ValueError(
            f"Argument `to` must be above {len(own)}, the units that layer "
            f"'{where}' has already. To make a layer smaller use "
            f"`surgery.remove`. Received: to={width}"
        )
    classes = _growable(graph, own, where)
    averaging = None
    if any(one in graph.normed for one in classes):
        growth, notes, averaging = _grow_normed(
            graph, own, width, new_units, seed, where
        )
        used = "zero" if averaging else "net2net"
    else:
        extra = _extra(own, width, where)
        used, notes = _settle(graph, layer, kind, classes, new_units)
        growth = grow(graph, classes, extra, used, seed)
        if used == "gradmax" and not rehearsal and sample is not None:
            pair = gradmax.find_pair(graph, layer, kind)
            notes += gradmax.fill(graph, pair, growth, sample)
    return Widening(
        growth.plan(graph, seed),
        width,
        used,
        tuple(notes),
        growth.is_silent or averaging is not None,
        averaging,
    )


def _growable(graph: ChannelGraph, own: np.ndarray, where: str) -> np.ndarray:
    """Returns the classes of a layer, or says why they must stay."""
    classes = np.unique(own)
    for marks in (graph.reasons, graph.rigid):
        for one in classes:
            if one in marks:
                raise ValueError(
                    "Argument `layer` must name a layer that may grow; one "
                    f"of the units of '{where}' {marks[one]}. "
                    f"Received: layer={where!r}"
                )
    return classes


def _extra(own: np.ndarray, width: int, where: str) -> int:
    """Returns how many classes must be copied to reach a width."""
    each = np.unique(np.unique(own, return_counts=True)[1])
    step = int(each[0])
    if len(each) > 1 or (width - len(own)) % step:
        raise ValueError(
            f"Argument `to` must add whole groups of {max(each)} units, which "
            f"belong together in layer '{where}' of {len(own)} units. "
            f"Received: to={width}"
        )
    return (width - len(own)) // step


def _settle(
    graph: ChannelGraph, layer: Any, kind: str, classes: np.ndarray, wanted: str
) -> tuple[str, list[str]]:
    """Returns how new units begin, and why not as the user asked."""
    reason = None
    if wanted == "paired":
        reason = randomness(graph, classes) or blur(graph, classes)
    elif wanted == "gradmax":
        reason = gradmax.find_pair(graph, layer, kind).reason
    elif wanted == "net2net":
        random = randomness(graph, classes)
        if random:
            note = f"exact in inference, in training on average only: {random}"
            return wanted, [note]
    if reason is None:
        return wanted, []
    return "zero", [f"new_units='zero' was taken for {wanted!r}: {reason}"]


def _grow_normed(
    graph: ChannelGraph,
    own: np.ndarray,
    width: int,
    new_units: str,
    seed: int,
    where: str,
) -> tuple[Growth, list[str], Averaging | None]:
    """Grows all units that a normalization reads, outputs preserved."""
    classes = _normed_together(graph, np.unique(own))
    name = next(graph.normed[one] for one in classes if one in graph.normed)
    _growable(graph, classes, where)
    times, rest = divmod(width, len(own))
    if rest:
        found = _average(graph, classes, own, width, seed, where, name)
        note = (
            f"new units begin as the mean of the old ones or as zero: {name} "
            "computes one figure over all of them"
        )
        return found.growth, [note], found
    notes = []
    if new_units != "net2net":
        notes.append(
            f"new_units='net2net' was taken for {new_units!r}: {name} "
            "computes one figure over all units, only copies leave it as it is"
        )
    return multiply(graph, classes, times, seed), notes, None


def _average(
    graph: ChannelGraph,
    classes: np.ndarray,
    own: np.ndarray,
    width: int,
    seed: int,
    where: str,
    name: str,
) -> Averaging:
    try:
        if len(np.unique(own)) != len(own) or len(classes) != len(own):
            raise Unsupported(f"'{where}' does not make each unit once")
        return average(graph, classes, width - len(own), seed)
    except Unsupported as error:
        raise ValueError(
            f"Argument `to` must be a multiple of the {len(own)} units of "
            f"layer '{where}': {name} computes one figure over all of them, "
            "which stays the same only if each is copied equally often; and "
            f"new units cannot be means of the old ones, for {error}. "
            f"Received: to={width}"
        ) from error


def _normed_together(graph: ChannelGraph, classes: np.ndarray) -> np.ndarray:
    """Adds the classes that share a normalization with those given."""
    groups = graph.normed_together()
    found = set(classes.tolist())
    changed = True
    while changed:
        changed = False
        for group in groups:
            members = set(group.tolist())
            if found & members and not members <= found:
                found |= members
                changed = True
    return np.array(sorted(found))
