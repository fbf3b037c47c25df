"""Finds units whose removal leaves the outputs of a model unchanged."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layer_paths import describe_operation
from keras_netopt.graph.model_graph import graph_outputs
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.compacting.call_list import (
    ListedCall,
    list_model_calls,
)
from keras_netopt.surgery.compacting.choose_rule import choose_rule
from keras_netopt.surgery.compacting.linear_rule import channel_axis
from keras_netopt.surgery.compacting.read_edge import FoldTarget, ReadEdge
from keras_netopt.surgery.compacting.tensor_facts import TensorFacts
from keras_netopt.surgery.coupled_axis import IN


@dataclass(frozen=True, eq=False)
class DeadUnits:
    """The groups of coupled units that can be removed exactly.

    Args:
        groups: Their numbers in the channel graph.
        kept: By group, why units that are constant must stay.
        edges: By group, the reads of it, with the position along the axis.
    """

    groups: frozenset[int]
    kept: dict[int, str]
    edges: dict[int, list[tuple[ReadEdge, int]]] = field(repr=False)

    def folds(self, groups: np.ndarray) -> list[tuple[FoldTarget, np.ndarray]]:
        """Returns what to add to which biases if some groups are removed."""
        added: dict[tuple[int, int | None], list[Any]] = {}
        seen: set[tuple[int, int, int]] = set()
        for group in groups.tolist():
            for edge, place in self.edges.get(group, ()):
                key = (id(edge.variable), edge.axis, place)
                # A layer that is called twice has one bias.
                if key in seen or not edge.needed[place]:
                    continue
                seen.add(key)
                delta, target = edge.deltas[place], edge.target
                if target is None or not delta.any():
                    continue
                one = (id(target.variable), target.row)
                held = added.setdefault(one, [target, np.zeros_like(delta)])
                held[1] = held[1] + delta
        return [(target, delta) for target, delta in added.values()]


def find_dead_units(graph: ChannelGraph) -> DeadUnits:
    """Finds the dead units of a Functional or Sequential model.

    Constants are followed from the inputs to the outputs, uses back from the
    outputs. A group of coupled units is dead if every layer that reads one of
    them either has no effect on the outputs through it, or gets a constant
    from it that its bias can hold. Units that a call without a rule touches
    are not dead; no rule holds for a call with `training=True` in the graph.
    """
    calls = list_model_calls(graph.model)
    facts = TensorFacts(graph)
    finder = _TargetFinder(calls, graph)
    rules = [choose_rule(one, graph, facts, finder.find) for one in calls]
    for rule in rules:
        rule.forward()
    for tensor in graph_outputs(graph.model):
        facts.use(tensor)
    for rule in reversed(rules):
        rule.backward()
    edges = [edge for rule in rules for edge in rule.edges()]
    blocked = _blocked_groups(graph, calls, rules, facts, edges)
    dead = _judge(graph, edges, blocked)
    dead.kept.update(_trained_constants(calls, facts))
    return dead


def _trained_constants(
    calls: list[ListedCall], facts: TensorFacts
) -> dict[int, str]:
    """Returns the groups of constants that calls in training read, and why."""
    kept = {}
    for call in calls:
        for tensor in call.inputs if call.trains else ():
            groups = facts.groups(tensor)[~np.isnan(facts.values(tensor))]
            name = describe_operation(call.operation)
            reason = f"{name} is called with training=True"
            kept.update(dict.fromkeys(groups.tolist(), reason))
    return kept


def _blocked_groups(
    graph: ChannelGraph,
    calls: list[ListedCall],
    rules: list[Any],
    facts: TensorFacts,
    edges: list[ReadEdge],
) -> dict[int, str]:
    """Returns the groups that something without a rule touches, and what."""
    blocked: dict[int, str] = {}

    def block(ids: np.ndarray, reason: str) -> None:
        for group in np.unique(graph.group_of[ids]).tolist():
            blocked.setdefault(group, reason)

    for call, rule in zip(calls, rules, strict=True):
        if rule.is_known:
            continue
        name = describe_operation(call.operation)
        for tensor in (*call.inputs, *call.outputs):
            for ids in graph.channel_axes(tensor).values():
                block(ids, f"reaches {name}, which is not examined")
    for opened in graph.open_calls:
        name = describe_operation(opened.layer)
        for tensor in opened.tensors:
            for ids in graph.channel_axes(tensor).values():
                block(ids, f"is used in the code of {name}")
    covered = {(id(edge.variable), edge.axis) for edge in edges}
    for axis in graph.coupled_axes:
        if axis.role == IN and (id(axis.variable), axis.axis) not in covered:
            name = describe_operation(axis.layer)
            block(axis.ids, f"is read by {name}, which is not examined")
    return blocked


def _judge(
    graph: ChannelGraph, edges: list[ReadEdge], blocked: dict[int, str]
) -> DeadUnits:
    ids = {
        (id(axis.variable), axis.axis): axis.ids for axis in graph.coupled_axes
    }
    found: dict[int, list[tuple[ReadEdge, int]]] = defaultdict(list)
    for edge in edges:
        groups = graph.group_of[ids[id(edge.variable), edge.axis]]
        for place, group in enumerate(groups.tolist()):
            found[group].append((edge, place))
    dead, kept = set(), {}
    for group, rows in found.items():
        if group in graph.protected or group in graph.normalized_by:
            continue
        if group in blocked:
            continue
        problems = [edge.problem(place) for edge, place in rows]
        problems += [_differs(rows)]
        problem = next((one for one in problems if one is not None), None)
        if problem is None:
            dead.add(group)
        elif "" not in problems:
            kept[group] = problem
    return DeadUnits(frozenset(dead), kept, found)


def _differs(rows: list[tuple[ReadEdge, int]]) -> str | None:
    """Returns whether calls of one layer get different constants."""
    held: dict[tuple[int, int, int], np.ndarray] = {}
    for edge, place in rows:
        if not edge.needed[place] or np.isnan(edge.values[place]):
            continue
        key = (id(edge.variable), edge.axis, place)
        delta = edge.deltas[place]
        if not np.array_equal(held.setdefault(key, delta), delta):
            return (
                f"'{edge.layer.name}' is called several times, with "
                "different constants"
            )
    return None


def _norm_axis(call: ListedCall) -> int:
    """Returns the axis of a normalization, not negative."""
    inside = int(call.layer is not call.operation)
    rank = len(call.inputs[0].shape) - inside
    return int(call.layer.axis) % rank + inside


class _TargetFinder:
    """Finds where a layer without a bias can hold a constant."""

    def __init__(self, calls: list[ListedCall], graph: ChannelGraph) -> None:
        self._readers: dict[int, list[ListedCall]] = defaultdict(list)
        self._counts: dict[int, int] = defaultdict(int)
        for call in calls:
            self._counts[id(call.operation)] += 1
            for tensor in call.inputs:
                self._readers[id(tensor)].append(call)
        for tensor in graph_outputs(graph.model):
            self._readers[id(tensor)].append(None)  # type: ignore[arg-type]

    def find(self, call: ListedCall) -> FoldTarget | None:
        """Returns the mean of a normalization that alone reads the call."""
        if call.layer.activation not in (None, keras.activations.linear):
            return None
        readers = self._readers[id(call.outputs[0])]
        if len(readers) != 1 or readers[0] is None:
            return None
        layer = readers[0].layer
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        is_norm = is_norm and not readers[0].trains
        once = self._counts[id(readers[0].operation)] == 1
        is_once = once and self._counts[id(call.operation)] == 1
        if not is_norm or not is_once:
            return None
        if _norm_axis(readers[0]) != channel_axis(call.layer, call):
            return None
        return FoldTarget(layer.moving_mean, sign=-1)
