"""Report on the variables that are coupled to a layer."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_netopt.report import Report
from keras_netopt.surgery.channels.layer_groups import producer_name


@dataclass(frozen=True)
class CouplingReport(Report):
    """The variables coupled to the units of a layer; `print` shows a table.

    Args:
        name: The layer.
        units: Number of its units.
        groups: Number of channel groups that they form.
        rows: Layer, variable, axis and role of each coupled axis.
        notes: Reasons against an edit, and limits on it.
    """

    name: str
    units: int
    groups: int
    rows: tuple[tuple[str, str, int, str], ...]
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        head = f"{self.name}: {self.units} units, {self.groups} groups"
        rows = [("layer", "variable", "axis", "role"), *self.rows]
        cells = [[str(cell) for cell in row] for row in rows]
        wide = [max(len(row[k]) for row in cells) for k in range(4)]
        lines = [
            f"{a:<{wide[0]}}   {b:<{wide[1]}}   {c:>{wide[2]}}   {d}"
            for a, b, c, d in cells
        ]
        return "\n".join([head, *lines, *self.notes])


def make_coupling_report(graph: Any, key: Any) -> CouplingReport:
    """Lists the axes that are coupled to a producer."""
    units = graph.group_of[graph.producers[key]]
    groups = np.unique(units)
    rows = []
    for coupled_axis in graph.coupled_axes:
        if np.isin(graph.group_of[coupled_axis.ids], groups).any():
            path = graph.path(coupled_axis.layer)
            name = coupled_axis.variable.name
            rows.append((path, name, coupled_axis.axis, coupled_axis.role))
    return CouplingReport(
        producer_name(graph, key),
        len(units),
        len(groups),
        tuple(rows),
        _notes(graph, groups),
    )


def _notes(graph: Any, groups: np.ndarray) -> tuple[str, ...]:
    notes = []
    texts = (
        (graph.protected, "protected: {}"),
        (graph.normalized_by, "removal changes the outputs: crosses {}"),
        (graph.not_replicable, "cannot be copied: {}"),
    )
    for marks, text in texts:
        counts: dict[str, int] = {}
        for one in groups.tolist():
            if one in marks:
                counts[marks[one]] = counts.get(marks[one], 0) + 1
        for mark, count in counts.items():
            share = "" if count == len(groups) else f" ({count} groups)"
            notes.append(text.format(mark) + share)
    return tuple(notes)
