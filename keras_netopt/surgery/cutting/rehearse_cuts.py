"""Finds the opened layers whose code does not follow a cut."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_netopt.graph.layers import walk_layers
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.layer_groups import producer_path
from keras_netopt.surgery.cutting.cut_candidates import CutCandidates
from keras_netopt.surgery.edits.remove import remove
from keras_netopt.surgery.opened.open_layer_edit import OpenLayerError

Units = Mapping[str, Sequence[int]]


def rehearse_cuts(
    graph: ChannelGraph,
    found: CutCandidates,
    known: set[str],
    *,
    allow_inexact: bool = False,
) -> dict[str, str]:
    """Removes half of the units inside opened layers, and takes that back.

    Args:
        graph: The graph of the model.
        found: The blocks of units that may be removed.
        known: Names of producers that need no rehearsal; those that are
            rehearsed are added.
        allow_inexact: As in `remove`. Defaults to `False`.

    Returns:
        For each producer whose units cannot be removed, the reason.
    """

    def failure(units: Units) -> OpenLayerError | None:
        try:
            remove(
                graph.model, units, allow_inexact=allow_inexact, dry_run=True
            )
        except OpenLayerError as error:
            return error
        return None

    units = {}
    for block in found.blocks:
        key = found.producers[block.name]
        name = producer_path(graph, key)
        if name not in known and _is_opened(graph, block.groups):
            half = block.groups[: len(block.groups) // 2]
            own = np.flatnonzero(np.isin(graph.units(key), half))
            units[name] = own.tolist()
    units = {name: numbers for name, numbers in units.items() if numbers}
    known.update(units)
    refused: dict[str, str] = {}
    while units:
        error = failure(units)
        if error is None:
            break
        suspects = _inside(graph, error.layer, list(units))
        failed = {
            name: one
            for name in suspects
            if (one := failure({name: units[name]}))
        } or dict.fromkeys(suspects, error)
        for name, one in failed.items():
            refused[name] = f"its code does not follow the cut: {one.problem}"
            del units[name]
    return refused


def _is_opened(graph: ChannelGraph, groups: np.ndarray) -> bool:
    held = {
        id(variable)
        for call in graph.open_calls
        for variable in call.layer.variables
    }
    return any(
        id(axis.variable) in held
        and np.isin(graph.group_of[axis.ids], groups).any()
        for axis in graph.coupled_axes
    )


def _inside(graph: ChannelGraph, layer: Any, names: list[str]) -> list[str]:
    """Returns the producers with units that a layer has, all if none."""
    held = {id(v) for one in walk_layers(layer) for v in one.variables}
    axes = [a for a in graph.coupled_axes if id(a.variable) in held]
    groups = np.unique(np.concatenate([graph.group_of[a.ids] for a in axes]))
    found = []
    for name in names:
        path, _, kind = name.partition(":")
        if np.isin(graph.units(path, kind), groups).any():
            found.append(name)
    return found or names
