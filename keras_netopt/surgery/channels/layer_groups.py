"""Layers whose units are coupled, to be cut or widened together."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.surgery.channels.connected_components import (
    connected_components,
)


@dataclass(frozen=True, eq=False)
class LayerGroup:
    """Layers that make the same channel groups.

    Args:
        layers: The keys of `ChannelGraph.producers`, in model order.
        groups: Their channel groups, in channel order of the first layer.
        free: The groups that are not protected.
        reason: Why no group may change; `None` where one may.
        normalized_by: A normalization over several of the groups, or `None`.
        not_replicable: Why some groups cannot be replicated, or `None`.
    """

    layers: tuple[Any, ...]
    groups: np.ndarray
    free: np.ndarray
    reason: str | None
    normalized_by: str | None
    not_replicable: str | None


def producer_name(graph: Any, key: Any) -> str:
    """Returns the path of a producer, with the kind of its units."""
    path = graph.path(key)
    return f"{path} ({key[1]})" if isinstance(key, tuple) else path


def producer_path(graph: Any, key: Any) -> str:
    """Returns the name of a producer that `surgery.remove` takes."""
    path = graph.path(key)
    return f"{path}:{key[1]}" if isinstance(key, tuple) else path


def collect_layer_groups(graph: Any) -> tuple[LayerGroup, ...]:
    """Groups the producers of a graph by the groups that they share."""
    keys = list(graph.producers)
    first: dict[int, int] = {}
    pairs = []
    for position, key in enumerate(keys):
        for one in np.unique(graph.group_of[graph.producers[key]]).tolist():
            pairs.append((first.setdefault(one, position), position))
    left, right = np.array(pairs, "int64").reshape(-1, 2).T
    number = connected_components(len(keys), [(left, right)])
    members: dict[int, list[Any]] = {}
    for position, key in enumerate(keys):
        members.setdefault(int(number[position]), []).append(key)
    return tuple(_layer_group(graph, tuple(m)) for m in members.values())


def _layer_group(graph: Any, keys: tuple[Any, ...]) -> LayerGroup:
    ids = np.concatenate([graph.group_of[graph.producers[k]] for k in keys])
    _, where = np.unique(ids, return_index=True)
    groups = ids[np.sort(where)]
    free = np.array([c for c in groups if c not in graph.protected], "int64")
    return LayerGroup(
        keys,
        groups,
        free,
        _first(graph.protected, groups) if not len(free) else None,
        _first(graph.normalized_by, groups),
        _first(graph.not_replicable, groups),
    )


def _first(marks: dict[int, str], groups: np.ndarray) -> str | None:
    return next((marks[c] for c in groups.tolist() if c in marks), None)
