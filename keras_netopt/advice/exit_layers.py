"""Finds layers after which early exits could stand."""

from itertools import groupby
from typing import Any

import keras

from keras_netopt.cost.cost_report import CostReport
from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.model_graph import graph_outputs
from keras_netopt.graph.recorded_calls import list_all_calls

# Shares of the MACs before an exit: the goal, the least and the most.
PLACES = ((0.125, 0.06, 0.2), (0.45, 0.3, 0.6))
# An exit reads what these are given.
SKIPPED = ("ZeroPadding", "Dropout", "Spatial", "Flatten", "Reshape", "Cropp")


def find_exit_layers(model: keras.Model, cost: CostReport) -> list[str]:
    """Returns paths of layers at about 12 % and 45 % of the MACs.

    Everything behind such a layer is computed from its output alone. They lie
    in the model, or in the nested model with most of the MACs.
    """
    groups = [
        list(calls)
        for _, calls in groupby(
            list_all_calls(model), key=lambda call: id(call.owner)
        )
    ]
    macs = {row.name: row.macs or 0 for row in cost.layers}
    calls = max(groups, key=lambda one: _sum_own(one, macs), default=[])
    cuts = _list_cuts(calls, macs, max(1, cost.macs))
    found: list[str] = []
    for goal, least, most in PLACES:
        near = [one for one in cuts if least <= one[0] <= most]
        if near:
            # Of equal shares the last: behind normalization and activation.
            best = min(reversed(near), key=lambda one: abs(one[0] - goal))
            found.append(best[1])
    return list(dict.fromkeys(found))


def _sum_own(calls: list[GraphNode], macs: dict[str, int]) -> int:
    return sum(macs.get(call.path, 0) for call in calls)


def _list_cuts(
    calls: list[GraphNode], macs: dict[str, int], total: int
) -> list[tuple[float, str]]:
    """Lists share of the MACs and path of each call that all others pass."""
    last: dict[int, int] = {}
    for number, call in enumerate(calls):
        last |= {id(tensor): number for tensor in call.input_tensors}
    if calls:
        last |= {id(t): len(calls) for t in graph_outputs(calls[0].owner)}
    live: set[int] = set()
    spent, cuts = 0, []
    for number, call in enumerate(calls):
        live |= {id(out) for out in call.outputs}
        live = {one for one in live if last.get(one, -1) > number}
        spent += _macs_inside(call, macs)
        if _is_cut(call, live) and last[id(call.output)] < len(calls):
            cuts.append((spent / total, call.path))
    return cuts


def _macs_inside(call: GraphNode, macs: dict[str, int]) -> int:
    inside = f"{call.path}/"
    return macs.get(call.path, 0) + sum(
        count for path, count in macs.items() if path.startswith(inside)
    )


def _is_cut(call: GraphNode, live: set[int]) -> bool:
    operation: Any = call.operation
    return (
        not call.is_input
        and isinstance(operation, keras.layers.Layer)
        and not isinstance(operation, keras.Model)
        and not type(operation).__name__.startswith(SKIPPED)
        and len(call.outputs) == 1
        and live == {id(call.output)}
        and len(call.output.shape) > 1
    )
