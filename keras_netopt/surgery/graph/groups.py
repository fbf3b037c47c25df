"""Layers that have to be cut or grown together, and how to print them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_netopt.surgery.graph.units import connected


@dataclass(frozen=True, eq=False)
class LayerSet:
    """Layers that make the same classes of units.

    Args:
        layers: The keys of `ChannelGraph.producers`, in model order.
        classes: Their classes, in channel order of the first layer that has
            them.
        free: Those of them that are not protected.
        reason: Why no class may change; `None` where one may.
        normed: The normalization that mixes some of the classes, or `None`.
        rigid: Why some of the classes cannot be replicated, or `None`.
    """

    layers: tuple[Any, ...]
    classes: np.ndarray
    free: np.ndarray
    reason: str | None
    normed: str | None
    rigid: str | None


@dataclass(frozen=True)
class Group:
    """What has to change with a layer; print it.

    Args:
        name: The layer.
        units: Number of its units.
        classes: Number of classes that they form.
        rows: Layer, variable, axis and role of each coupled axis.
        notes: Each reason against a change, or a limit on it.
    """

    name: str
    units: int
    classes: int
    rows: tuple[tuple[str, str, int, str], ...]
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        head = f"{self.name}: {self.units} units, {self.classes} classes"
        rows = [("layer", "variable", "axis", "role"), *self.rows]
        cells = [[str(cell) for cell in row] for row in rows]
        wide = [max(len(row[k]) for row in cells) for k in range(4)]
        lines = [
            f"{a:<{wide[0]}}   {b:<{wide[1]}}   {c:>{wide[2]}}   {d}"
            for a, b, c, d in cells
        ]
        return "\n".join([head, *lines, *self.notes])


def producer_name(graph: Any, key: Any) -> str:
    """The path of a producer, with the kind of its units."""
    path = graph.path(key)
    return f"{path} ({key[1]})" if isinstance(key, tuple) else path


def collect_sets(graph: Any) -> tuple[LayerSet, ...]:
    """Groups the producers of a graph by the classes that they share."""
    keys = list(graph.producers)
    first: dict[int, int] = {}
    pairs = []
    for place, key in enumerate(keys):
        for one in np.unique(graph.class_of[graph.producers[key]]).tolist():
            pairs.append((first.setdefault(one, place), place))
    left, right = np.array(pairs, "int64").reshape(-1, 2).T
    number = connected(len(keys), [(left, right)])
    members: dict[int, list[Any]] = {}
    for place, key in enumerate(keys):
        members.setdefault(int(number[place]), []).append(key)
    return tuple(_layer_set(graph, tuple(m)) for m in members.values())


def make_group(graph: Any, key: Any) -> Group:
    """Lists everything that is coupled to one producer."""
    units = graph.class_of[graph.producers[key]]
    classes = np.unique(units)
    rows = []
    for binding in graph.bindings:
        if np.isin(graph.class_of[binding.ids], classes).any():
            path = graph.path(binding.layer)
            name = binding.variable.name
            rows.append((path, name, binding.axis, binding.role))
    return Group(
        producer_name(graph, key),
        len(units),
        len(classes),
        tuple(rows),
        _notes(graph, classes),
    )


def _layer_set(graph: Any, keys: tuple[Any, ...]) -> LayerSet:
    ids = np.concatenate([graph.class_of[graph.producers[k]] for k in keys])
    _, where = np.unique(ids, return_index=True)
    classes = ids[np.sort(where)]
    free = np.array([c for c in classes if c not in graph.reasons], "int64")
    return LayerSet(
        keys,
        classes,
        free,
        _first(graph.reasons, classes) if not len(free) else None,
        _first(graph.normed, classes),
        _first(graph.rigid, classes),
    )


def _first(marks: dict[int, str], classes: np.ndarray) -> str | None:
    return next((marks[c] for c in classes.tolist() if c in marks), None)


def _notes(graph: Any, classes: np.ndarray) -> tuple[str, ...]:
    notes = []
    texts = (
        (graph.reasons, "protected: {}"),
        (graph.normed, "not exact to remove: crosses {}"),
        (graph.rigid, "cannot be replicated: {}"),
    )
    for marks, text in texts:
        counts: dict[str, int] = {}
        for one in classes.tolist():
            if one in marks:
                counts[marks[one]] = counts.get(marks[one], 0) + 1
        for mark, count in counts.items():
            share = "" if count == len(classes) else f" ({count} classes)"
            notes.append(text.format(mark) + share)
    return tuple(notes)
