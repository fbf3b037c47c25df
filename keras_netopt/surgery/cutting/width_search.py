"""Searches the widths of a cut: allocation, resource, rounding, minimum.

An allocation ranks all units by importance, with the share of the cut at which
each one is removed; a goal for a resource determines how many units of that
ranking are removed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ALLOCATIONS = ("uniform", "global", "isomorphic")
RESOURCES = ("channels", "macs", "params", "latency")
MEASUREMENTS = 8

Widths = tuple[int, ...]
Cost = Callable[[Widths], float]


@dataclass(frozen=True, eq=False)
class ChannelBlock:
    """Units that the same layers produce; their number is one width.

    Args:
        name: The layer that produces them, unique.
        groups: Their group numbers in the graph, in channel order.
        kind: A key that blocks of equal structure share. Defaults to
            `None`.
        before: Their number before the first of several cuts. Defaults to
            `None`: the current number.
        step: A changed width is a multiple of it. Defaults to `1`.
        floor: Smallest width after a cut, a multiple of `step`. Defaults to
            `1`.
    """

    name: str
    groups: np.ndarray
    kind: Any = None
    before: int | None = None
    step: int = 1
    floor: int = 1

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def original(self) -> int:
        """The number of units before the first cut."""
        return max(self.before or 0, len(self))

    def width(self, wanted: int) -> int:
        """Returns the allowed width: rounded down, not below the floor."""
        if wanted >= len(self):
            return len(self)
        return min(len(self), max(self.floor, wanted - wanted % self.step))

    def wider(self, width: int) -> int:
        """Returns the next larger width that is allowed."""
        return min(len(self), width - width % self.step + self.step)


@dataclass(frozen=True, eq=False)
class UnitRanking:
    """The units of some blocks, the least important first.

    Args:
        blocks: The blocks.
        owners: For each unit in the ranking, the number of its block.
        keys: For each, the share of the cut at which it is removed, in
            (0, 1).
    """

    blocks: tuple[ChannelBlock, ...]
    owners: np.ndarray
    keys: np.ndarray

    def widths(self, count: int) -> Widths:
        """Returns the widths without the `count` least important units."""
        cut = np.bincount(self.owners[:count], minlength=len(self.blocks))
        return tuple(
            block.width(len(block) - int(n))
            for block, n in zip(self.blocks, cut, strict=True)
        )

    def at(self, share: float) -> Widths:
        """Returns every block's width at a share of the cut in [0, 1]."""
        return self.widths(int(np.searchsorted(self.keys, share - 1e-9)))

    @property
    def now(self) -> Widths:
        """The widths before the cut."""
        return tuple(len(block) for block in self.blocks)


def rank_units(
    blocks: Sequence[ChannelBlock], scores: np.ndarray, allocation: str
) -> UnitRanking:
    """Ranks the units of all blocks.

    Args:
        blocks: The blocks that may be pruned.
        scores: One score per group of units. Scores of different blocks must
            be comparable for "global" and "isomorphic".
        allocation: "uniform" removes the same share of each block, "global"
            the lowest scores of all blocks but at least one unit per block is
            kept, "isomorphic" the same share of each set of blocks with equal
            structure.
    """
    groups: dict[Any, list[int]] = {}
    for number, block in enumerate(blocks):
        key = {"uniform": number, "global": None, "isomorphic": block.kind}
        groups.setdefault(key[allocation], []).append(number)
    owners, keys = [], []
    for numbers in groups.values():
        group = [blocks[number] for number in numbers]
        sizes = [len(block) for block in group]
        owner: np.ndarray = np.repeat(numbers, sizes)
        score = np.concatenate([scores[block.groups] for block in group])
        order = np.argsort(score, kind="stable")
        total = sum(block.original for block in group)
        owners.append(owner[order])
        keys.append((total - len(order) + np.arange(len(order)) + 0.5) / total)
    if not owners:
        return UnitRanking((), np.zeros(0, int), np.zeros(0))
    order = np.argsort(np.concatenate(keys), kind="stable")
    return UnitRanking(
        tuple(blocks),
        np.concatenate(owners)[order],
        np.concatenate(keys)[order],
    )


def find_widths(ranking: UnitRanking, cost: Cost, goal: float) -> Widths:
    """Finds the smallest cut whose cost does not exceed a goal.

    If rounding removes more than needed, units are restored in the blocks with
    the highest scores while the goal is met. If the goal cannot be met, the
    widths are the smallest possible ones. `cost` must not grow when a width is
    reduced.
    """
    low, high = -1, len(ranking.owners)
    while high - low > 1:
        middle = (low + high) // 2
        if cost(ranking.widths(middle)) <= goal:
            high = middle
        else:
            low = middle
    return _restore_units(ranking, ranking.widths(high), cost, goal)


def _restore_units(
    ranking: UnitRanking, widths: Widths, cost: Cost, goal: float
) -> Widths:
    if not widths or cost(widths) > goal:
        return widths
    # The block with the highest-ranked removed unit is the first one.
    cut = [n for n in range(len(widths)) if widths[n] < ranking.now[n]]
    cut.sort(key=lambda n: -_last_key(ranking, n, widths[n]))
    changed = True
    while changed:
        changed = False
        for n in cut:
            wider = ranking.blocks[n].wider(widths[n])
            tried = (*widths[:n], wider, *widths[n + 1 :])
            if wider > widths[n] and cost(tried) <= goal:
                widths, changed = tried, True
    return widths


def _last_key(ranking: UnitRanking, block: int, width: int) -> float:
    keys = ranking.keys[ranking.owners == block]
    return float(keys[len(ranking.blocks[block]) - width - 1])


def find_share(
    ranking: UnitRanking, measure: Cost, goal: Callable[[float], float]
) -> tuple[float, list[tuple[float, float]]]:
    """Finds a share of the cut with a few measurements.

    The goal is a function of the first measurement, that of the current model.
    Returns the smallest share that met the goal, or 1.0 if none did, and the
    measurements as `(share, value)`.
    """
    measured = [(0.0, measure(ranking.now))]
    wanted = goal(measured[0][1])
    low, high = 0.0, 1.0
    seen = {ranking.now: measured[0][1]}
    while len(measured) < MEASUREMENTS:
        middle = (low + high) / 2
        widths = ranking.at(middle)
        if widths in (ranking.at(low), ranking.at(high)) and widths in seen:
            break
        if widths not in seen:
            seen[widths] = measure(widths)
            measured.append((middle, seen[widths]))
        if seen[widths] <= wanted:
            high = middle
        else:
            low = middle
    return high, measured


def least_important(
    ranking: UnitRanking, widths: Widths, scores: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the groups to remove for given widths, by name of the block.

    Blocks without a removed group are left out.
    """
    found = {}
    for block, width in zip(ranking.blocks, widths, strict=True):
        order = np.argsort(scores[block.groups], kind="stable")
        if width < len(block):
            removed = order[: len(block) - width]
            found[block.name] = block.groups[np.sort(removed)]
    return found
