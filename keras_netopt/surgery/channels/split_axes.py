"""Reshapes of a channel axis into several axes, or of several into one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from keras_netopt.surgery.channels.connected_components import (
    connected_components,
)


@dataclass(eq=False)
class SplitAxis:
    """An axis of units that is several axes on the other side of a reshape.

    The units of one of the several axes are edited, those of the others stay:
    heads or the entries of a head. Which one is decided once the whole model
    is traced, by the use of the axes.

    Args:
        flat: The units of the one axis.
        parts: The units of the several axes, by position; none for an axis
            whose units cannot be edited.
        sizes: The sizes of the several axes.
        name: Name of the reshape.
        is_inside: Whether the reshape is inside an opened layer. Its code
            then holds the sizes, and only heads are known to be attributes.
        kept: Position of the axis that is edited, once it is decided.
    """

    flat: np.ndarray
    parts: dict[int, np.ndarray]
    sizes: tuple[int, ...]
    name: str
    is_inside: bool = False
    kept: int = -1

    def kept_units(self) -> np.ndarray:
        """Returns the unit of the edited axis for each entry of `flat`."""
        shape = [1] * len(self.sizes)
        shape[self.kept] = -1
        ids = self.parts[self.kept].reshape(shape)
        return np.broadcast_to(ids, self.sizes).reshape(-1)

    @property
    def keeps_copies_adjacent(self) -> bool:
        """Whether copies of a unit are adjacent in `flat` too."""
        return prod(self.sizes[self.kept + 1 :]) == 1


def choose_axes(
    splits: Iterable[SplitAxis],
    group_of: np.ndarray,
    protected: set[int],
    heads: set[int],
) -> None:
    """Decides for each split axis which of its axes is edited.

    That is an axis of heads, for each of which tensors are multiplied; else
    the last one whose units may change. Axes with common groups are chosen
    together.

    Args:
        splits: The split axes, in order of execution.
        group_of: The group of each unit.
        protected: Groups that must not change.
        heads: Groups of heads.
    """
    chosen: set[int] = set()
    left: set[int] = set()
    for split in splits:
        if not split.parts:
            continue
        groups = {
            position: set(group_of[ids].tolist())
            for position, ids in split.parts.items()
        }

        def preference(
            position: int, groups: dict[int, set[int]] = groups
        ) -> tuple[bool | int, ...]:
            found = groups[position]
            is_free = not found <= protected
            return (
                bool(found & chosen),
                not found & left,
                is_free and bool(found & heads),
                is_free,
                position,
            )

        split.kept = max(groups, key=preference)
        for position, found in groups.items():
            (chosen if position == split.kept else left).update(found)


class AxisChoices:
    """The split axes of a graph, while it is traced."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._splits: list[SplitAxis] = []
        self._heads: list[np.ndarray] = []
        self._optional: set[int] = set()

    def mark_heads(self, ids: np.ndarray) -> None:
        """Marks units for each of which tensors are multiplied by itself."""
        self._heads.append(ids)

    def mark_optional(self, ids: np.ndarray) -> None:
        """Marks units that a layer that works on another axis may protect.

        With other units on an axis that a layer does not know, all channels
        of its call are refused.
        """
        self._optional.update(ids.tolist())

    def is_optional(self, ids: np.ndarray) -> bool:
        """Returns whether a layer that works on another axis may go on."""
        return int(ids[0]) in self._optional

    def split(
        self, ids: np.ndarray, sizes: Sequence[int], name: str
    ) -> SplitAxis:
        """Splits an axis of units into several, of which one is edited."""
        parts = {
            position: self._graph.new_ids(size)
            for position, size in enumerate(sizes)
            if size > 1
        }
        for one in parts.values():
            self.mark_optional(one)
        inside = self._graph.inside > 0
        self._splits.append(SplitAxis(ids, parts, tuple(sizes), name, inside))
        return self._splits[-1]

    def join(
        self, parts: dict[int, np.ndarray], sizes: Sequence[int], name: str
    ) -> SplitAxis:
        """Makes one axis of several, of which those in `parts` have units."""
        flat = self._graph.new_ids(prod(sizes))
        inside = self._graph.inside > 0
        self._splits.append(
            SplitAxis(flat, dict(parts), tuple(sizes), name, inside)
        )
        return self._splits[-1]

    def settle(
        self,
        count: int,
        pairs: Sequence[tuple[np.ndarray, np.ndarray]],
        protected: Sequence[np.ndarray],
    ) -> None:
        """Decides which axes are edited, once the model is traced.

        Args:
            count: The number of units.
            pairs: Coupled units, as in `connected_components`.
            protected: Units that must not change.
        """
        if not self._splits:
            return
        group_of = connected_components(count, pairs)
        fixed, heads = (
            {one for ids in found for one in group_of[ids].tolist()}
            for found in (protected, self._heads)
        )
        choose_axes(self._splits, group_of, fixed, heads)
        for split in self._splits:
            if not split.parts:
                reason = f"is reshaped by '{split.name}' to axes of size 1"
                self._graph.protect(split.flat, reason)
                continue
            self._graph.couple(split.flat, split.kept_units())
            kept = split.parts[split.kept]
            many = len(split.parts) > 1 and split.is_inside
            if many and not heads & set(group_of[kept].tolist()):
                self._graph.protect(
                    kept, f"is divided by '{split.name}', but not into heads"
                )
            if not split.keeps_copies_adjacent:
                self._graph.mark_not_replicable(
                    split.parts[split.kept], f"is interleaved by '{split.name}'"
                )
            reason = f"is reshaped by '{split.name}', which keeps another axis"
            for position, ids in split.parts.items():
                if position != split.kept:
                    self._graph.protect(ids, reason)
