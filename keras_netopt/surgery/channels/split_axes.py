"""Reshapes of a channel axis into several axes, or of several into one."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np


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
        kept: Position of the axis that is edited, once it is decided.
    """

    flat: np.ndarray
    parts: dict[int, np.ndarray]
    sizes: tuple[int, ...]
    name: str
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
        groups = {
            position: set(group_of[ids].tolist())
            for position, ids in split.parts.items()
        }

        def preference(position: int, groups=groups) -> tuple[bool | int, ...]:
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
