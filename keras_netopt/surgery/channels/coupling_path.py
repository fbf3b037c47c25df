"""Explains by which operation two layers are coupled."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_netopt.surgery.channels.layer_groups import producer_path


class CouplingPaths:
    """The chains of operations that couple layers to some named layers.

    Args:
        graph: The channel graph.
        named: The producers that an edit names.
    """

    def __init__(self, graph: Any, named: Iterable[Any]) -> None:
        self._graph = graph
        self._named = list(named)
        self._found: dict[int, dict[int, tuple[int, str]]] = {}

    def describe(self, key: Any, groups: np.ndarray) -> str:
        """Describes what couples a producer, in the direction of a named one.

        Args:
            key: The producer.
            groups: The groups of units that the edit changes.

        Returns:
            For example "to 'conv_1' by Add 'add'".
        """
        own = self._graph.producers[key]
        changed = own[np.isin(self._graph.group_of[own], groups)]
        unit, mine = int(changed[0]), set(own.tolist())
        steps = self._steps(int(self._graph.group_of[unit]))
        operation = ""
        while unit in steps:
            unit, name = steps[unit]
            operation = operation or name
            other = next(self._producers(unit, key), None)
            if unit not in mine and other is not None:
                path = producer_path(self._graph, other)
                return f"to '{path}' by {operation}"
        # Units of another group grow with those of one normalization.
        named = [producer_path(self._graph, one) for one in self._named]
        layers = ", ".join(sorted(self._graph.normalizers(groups)))
        return f"to '{named[0]}'" + (f" by {layers}" if layers else "")

    def _producers(self, unit: int, key: Any) -> Any:
        """Yields the other producers that make a unit, named ones first."""
        for one in (*self._named, *self._graph.producers):
            if one != key and unit in self._graph.producers[one]:
                yield one

    def _steps(self, group: int) -> dict[int, tuple[int, str]]:
        """Returns the next unit towards a named one, and the operation."""
        if group not in self._found:
            self._found[group] = self._search(group)
        return self._found[group]

    def _search(self, group: int) -> dict[int, tuple[int, str]]:
        graph = self._graph
        links: dict[int, list[tuple[int, str]]] = {}
        for one, other, name in graph.couplings():
            inside = graph.group_of[one] == group
            for a, b in zip(
                one[inside].tolist(), other[inside].tolist(), strict=True
            ):
                links.setdefault(a, []).append((b, name))
                links.setdefault(b, []).append((a, name))
        starts = [
            unit
            for key in self._named
            for unit in graph.producers[key].tolist()
            if graph.group_of[unit] == group
        ]
        steps: dict[int, tuple[int, str]] = {}
        seen, queue = set(starts), starts
        while queue:
            found = []
            for unit in queue:
                for other, name in links.get(unit, ()):
                    if other not in seen:
                        seen.add(other)
                        steps[other] = (unit, name)
                        found.append(other)
            queue = found
        return steps
