"""Finds the opened layers whose code does not follow a cut."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_netopt.graph.layers import walk_layers
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.layer_groups import producer_path
from keras_netopt.surgery.cutting.cut_candidates import CutCandidates
from keras_netopt.surgery.edits.apply_plan import apply_plan
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.surgery.edits.rehearsal import rehearsal
from keras_netopt.surgery.opened.open_layer_edit import OpenLayerError

Groups = Mapping[str, np.ndarray]


def rehearse_cuts(
    graph: ChannelGraph, found: CutCandidates, known: set[str]
) -> dict[str, str]:
    """Removes half of the units inside opened layers, and takes that back.

    Of layers that are built alike only the first is rehearsed.

    Args:
        graph: The graph of the model.
        found: The blocks of units that may be removed.
        known: Names of producers that need no rehearsal; those that are
            rehearsed are added.

    Returns:
        For each producer whose units cannot be removed, the reason.
    """
    alike: dict[Any, list[str]] = {}
    groups: dict[str, np.ndarray] = {}
    for block in found.blocks:
        name = producer_path(graph, found.producers[block.name])
        kind = _structure(graph, block.groups)
        half = block.groups[: len(block.groups) // 2]
        if name in known or kind is None or not len(half):
            continue
        if kind not in alike:
            groups[name] = half
        alike.setdefault(kind, []).append(name)
        known.add(name)
    reasons = _find_refused(graph, groups)
    return {
        name: reasons[names[0]]
        for names in alike.values()
        if names[0] in reasons
        for name in names
    }


def _find_refused(graph: ChannelGraph, groups: Groups) -> dict[str, str]:
    left, reasons = dict(groups), {}
    while left:
        error = _failure(graph, left.values())
        if error is None:
            break
        suspects = _inside(graph, error.layer, left)
        failed = {
            name: one
            for name in suspects
            if (one := _failure(graph, [left[name]]))
        } or dict.fromkeys(suspects, error)
        for name, one in failed.items():
            reasons[name] = f"its code does not follow the cut: {one.problem}"
            del left[name]
    return reasons


def _failure(
    graph: ChannelGraph, groups: Iterable[np.ndarray]
) -> OpenLayerError | None:
    copies: np.ndarray = np.ones(graph.group_count, "int64")
    for one in groups:
        copies[one] = 0
    # An edit resizes the tensors inside the opened layers of its graph.
    own = ChannelGraph(graph.model)
    plan = EditPlan(own, copies)
    try:
        with rehearsal(graph.model):
            apply_plan(graph.model, own, plan)
    except OpenLayerError as error:
        return error
    return None


def _structure(graph: ChannelGraph, groups: np.ndarray) -> Any:
    """Describes how the units of opened layers are made and read.

    Returns `None` for units that no opened layer has.
    """
    holders = {
        id(variable): call.layer
        for call in graph.open_calls
        for variable in call.layer.variables
    }
    axes = [
        axis
        for axis in graph.coupled_axes
        if np.isin(graph.group_of[axis.ids], groups).any()
    ]
    opened = {id(a.variable): holders.get(id(a.variable)) for a in axes}
    if not any(opened.values()):
        return None
    return tuple(
        (
            type(axis.layer).__name__,
            axis.variable.name,
            tuple(axis.variable.shape),
            axis.axis,
            axis.role,
            _numbers(opened[id(axis.variable)]),
        )
        for axis in axes
    )


def _numbers(layer: Any) -> tuple[Any, ...]:
    """Returns the classes and integers of a layer and those inside it."""
    return tuple(
        (
            type(one).__name__,
            *((k, v) for k, v in sorted(vars(one).items()) if type(v) is int),
        )
        for one in (walk_layers(layer) if layer is not None else ())
    )


def _inside(graph: ChannelGraph, layer: Any, groups: Groups) -> list[str]:
    """Returns the producers with units that a layer has, all if none."""
    held = {id(v) for one in walk_layers(layer) for v in one.variables}
    axes = [a for a in graph.coupled_axes if id(a.variable) in held]
    own = np.unique(np.concatenate([graph.group_of[a.ids] for a in axes]))
    found = [name for name, one in groups.items() if np.isin(one, own).any()]
    return found or list(groups)
