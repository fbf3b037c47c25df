"""Sub-networks that keep a subset of the units of each layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.plain_graph import is_plain_graph
from keras_netopt.search.subnetworks.candidate_space import CandidateSpace
from keras_netopt.search.subnetworks.input_units import (
    INPUTS,
    find_input_groups,
)
from keras_netopt.search.subnetworks.subsets import Kept, Subsets
from keras_netopt.search.subnetworks.unit_counts import count_kept
from keras_netopt.search.subnetworks.weight_space import attach_masks
from keras_netopt.selectors import as_patterns
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.unchanged_layers import with_remedy
from keras_netopt.surgery.coupled_axis import IN, PASS
from keras_netopt.surgery.cutting.channel_pruner import ChannelPruner
from keras_netopt.surgery.cutting.cut_candidates import CutCandidates
from keras_netopt.surgery.edits.apply_plan import apply_plan
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.training.compiled_clone import clone_compiled


@dataclass(frozen=True, eq=False)
class UnitBlock:
    """Units of which a candidate keeps a number.

    Args:
        name: The layer that makes them, or "inputs".
        groups: Their channel groups, in channel order.
        producer: The key of `ChannelGraph.producers`; `None` for inputs.
    """

    name: str
    groups: np.ndarray
    producer: Any


class UnitSpace(CandidateSpace):
    """The candidates of `granularity="node"`: narrower plain networks.

    Units are the coupled channels of `surgery`: those of a residual stream
    are removed together. Layers that surgery protects stay whole.

    Args:
        model: As in `CandidateSpace`.
        sparsity: Share of the units that are removed.
        include: Layers to search.
        exclude: Layers not to search.
        scope: "local" or "global".
        allocation: "uniform", "erk" or a dictionary.
        mask_inputs: Whether the features of the inputs are units, too.

    Raises:
        ValueError: If no units can be removed, `include` names layers that
            are protected, or the inputs have no features to mask.
    """

    def __init__(
        self,
        model: keras.Model,
        sparsity: float,
        *,
        include: Any,
        exclude: Any,
        scope: str,
        allocation: Any,
        mask_inputs: bool,
    ) -> None:
        super().__init__(model)
        self._graph = graph = ChannelGraph(model)
        self._found = _find_blocks(graph, include, exclude)
        self.skipped = tuple(
            (name, with_remedy(reason)) for name, reason in self._found.skipped
        )
        blocks = [
            UnitBlock(one.name, one.groups, self._found.producers[one.name])
            for one in self._found.blocks
        ]
        counts = count_kept(graph, blocks, sparsity, allocation)
        self._inputs: np.ndarray = np.zeros(0, int)
        if mask_inputs:
            self._inputs = find_input_groups(graph)
            blocks.append(UnitBlock(INPUTS, self._inputs, None))
            counts.append(max(1, round(len(self._inputs) * (1 - sparsity))))
        self._blocks = blocks
        self.names = tuple(block.name for block in blocks)
        self.subsets = Subsets(
            [len(block.groups) for block in blocks],
            counts,
            together=scope == "global",
        )
        searched = np.concatenate([block.groups for block in blocks])
        self._axes = [
            axis
            for axis in graph.coupled_axes
            if np.isin(graph.group_of[axis.ids], searched).any()
        ]
        by_id = {id(axis.variable): axis.variable for axis in self._axes}
        self.variables = list(by_id.values())

    def masks(self, kept: Kept) -> list[np.ndarray]:
        """Returns masks of the incoming and outgoing weights of units."""
        return self._masks(kept, with_pass=False)

    def make_model(self, kept: Kept) -> keras.Model:
        """Returns a copy without the other units, as one built that narrow.

        Features of the inputs stay, with masked weights.
        """
        groups = self._kept_groups(kept)
        copy = clone_compiled(self.model)
        graph = ChannelGraph(copy)
        # A copy of a subclassed model names its layers anew.
        twins = dict(zip(self._graph.producers, graph.producers, strict=True))
        copies: np.ndarray = np.ones(graph.group_count, "int64")
        for block in self._blocks:
            if block.producer is not None:
                own = self._graph.units(block.producer)
                places = np.isin(own, block.groups) & ~groups[own]
                copies[graph.units(twins[block.producer])[places]] = 0
        if not copies.all():
            apply_plan(copy, graph, EditPlan(graph, copies))
            if is_plain_graph(copy):
                copy = clone_compiled(copy)
        if len(self._inputs):
            attach_masks(copy, self._input_masks(copy, groups))
        model: keras.Model = copy
        return model

    def describe(self, kept: Kept) -> Mapping[str, np.ndarray]:
        """Returns the kept units of each layer, counted from 0 in it."""
        groups = self._kept_groups(kept)
        found = {}
        for name, block in zip(self.names, self._blocks, strict=True):
            own = block.groups
            if block.producer is not None:
                own = self._graph.units(block.producer)
            places = np.isin(own, block.groups) & groups[own]
            found[name] = np.flatnonzero(places)
        return found

    def node_sparsity(self, kept: Kept) -> float:
        """Returns the share of the searched units that is removed."""
        return 1.0 - float(np.mean(kept))

    def _removal_masks(self, kept: Kept) -> list[np.ndarray]:
        return self._masks(kept, with_pass=True)

    def _masks(self, kept: Kept, *, with_pass: bool) -> list[np.ndarray]:
        groups = self._kept_groups(kept)
        found = {id(v): np.ones(tuple(v.shape), bool) for v in self.variables}
        for axis in self._axes:
            if axis.role == PASS and not with_pass:
                continue
            along = groups[self._graph.group_of[axis.ids]]
            found[id(axis.variable)] &= _along(along, axis)
        return [found[id(v)] for v in self.variables]

    def _input_masks(
        self, copy: keras.Model, groups: np.ndarray
    ) -> dict[int, np.ndarray]:
        """Returns masks of the weights that take masked features."""
        places = {id(v): i for i, v in enumerate(self.model.weights)}
        found: dict[int, np.ndarray] = {}
        for axis in self._axes:
            own = self._graph.group_of[axis.ids]
            if axis.role != IN or not np.isin(own, self._inputs).any():
                continue
            place = places[id(axis.variable)]
            shape = tuple(copy.weights[place].shape)
            mask = found.setdefault(place, np.ones(shape, bool))
            # Units that are removed are no longer part of the axis.
            along = groups[own][np.isin(own, self._inputs) | groups[own]]
            mask &= _along(along, axis)
        return found

    def _kept_groups(self, kept: Kept) -> np.ndarray:
        groups: np.ndarray = np.ones(self._graph.group_count, bool)
        for block, part in zip(
            self._blocks, self.subsets.split(kept), strict=True
        ):
            groups[block.groups] = part
        return groups


def _find_blocks(
    graph: ChannelGraph, include: Any, exclude: Any
) -> CutCandidates:
    def find(include: Any, exclude: Any = None) -> CutCandidates:
        pruner = ChannelPruner.create(
            min_channels=1, include=include, exclude=exclude
        )
        return pruner.find_candidates(graph)

    for pattern in as_patterns(include):
        find(pattern)  # Refuses one that stands for protected layers alone.
    try:
        found = find(_is_any if include is None else include, exclude)
    except ValueError as error:
        if include is not None or "`include`" not in str(error):
            raise
        reason = str(error).partition("but it matches: ")[2]
        reason = reason.rpartition(". Received")[0]
        raise ValueError(_message(graph, reason)) from error
    if not found.blocks:
        rows = [f"{name} ({why})" for name, why in found.skipped]
        raise ValueError(_message(graph, ", ".join(rows)))
    return found


def _message(graph: ChannelGraph, reasons: str) -> str:
    return (
        "Argument `model` must have a layer whose units can be removed, but "
        f"all stay whole: {reasons or 'it has no layer with channels'}. "
        f"Received: model={graph.model.name!r}"
    )


def _is_any(layer: Any) -> bool:
    return True


def _along(values: np.ndarray, axis: Any) -> np.ndarray:
    shape = [1] * len(axis.variable.shape)
    shape[axis.axis] = -1
    return values.reshape(shape)
