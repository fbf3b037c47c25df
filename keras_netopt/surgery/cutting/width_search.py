"""Searches the widths of a cut: allocation, resource, rounding, minimum.

Every allocation is a ranking of all units by importance, with the share of
the cut at which each one is removed; every resource is a length of that
ranking. NumPy only.
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

    Example:

    >>> block = ChannelBlock("conv", np.arange(20), step=8, floor=8)
    >>> [block.width(wanted) for wanted in (20, 19, 9, 3)]
    [20, 16, 8, 8]

    Args:
        name: The layer that produces them, unique.
        groups: Their group numbers in the graph, in channel order.
        kind: A key that blocks of equal structure share.
        before: Their number before the first of several cuts; `None` for the
            current number.
        step: A changed width is a multiple of it.
        floor: Least width after a cut, a multiple of `step`.
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

    `owners` holds the number of the block of each unit, `keys` the share of
    the cut, in (0, 1), at which the unit is removed.
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

    "uniform" removes the same share of each block, "isomorphic" the same share
    of each set of blocks with equal structure, and "global" the lowest scores
    of all blocks but at least one unit per block. `scores` has one score per
    group, comparable between blocks for "global" and "isomorphic".

    Example:

    >>> blocks = [
    ...     ChannelBlock("a", np.array([0, 1])),
    ...     ChannelBlock("b", np.array([2, 3])),
    ... ]
    >>> scores = np.array([1.0, 2.0, 3.0, 4.0])
    >>> rank_units(blocks, scores, "uniform").at(0.5)
    (1, 1)
    >>> rank_units(blocks, scores, "global").at(0.5)
    (1, 2)
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

    If rounding removes more than needed, the blocks with the highest scores
    get units back while the goal is met. If the goal cannot be met, the widths
    are the smallest possible ones. `cost` is a function of the widths that
    must not grow when a width is reduced.

    Example:

    >>> blocks = [
    ...     ChannelBlock("a", np.arange(10)),
    ...     ChannelBlock("b", np.arange(10, 20)),
    ... ]
    >>> ranking = rank_units(blocks, np.arange(20.0), "global")
    >>> find_widths(ranking, sum, 15)
    (5, 10)
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
    # The block with the highest-ranked removed unit comes first.
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
    ranking: UnitRanking,
    measure: Cost,
    goal: Callable[[float], float],
    attempts: int = MEASUREMENTS,
) -> tuple[float, list[tuple[float, float]]]:
    """Finds a share of the cut with at most `attempts` measurements.

    `measure` is a function of the widths; `goal` is a function of the first
    measurement, of the current model. Returns the smallest share that met the
    goal, or 1.0 if none did, and the measurements as `(share, value)`.

    Example:

    >>> scores = np.arange(100.0)
    >>> blocks = [ChannelBlock("a", np.arange(100))]
    >>> ranking = rank_units(blocks, scores, "uniform")
    >>> share, measured = find_share(ranking, sum, lambda first: 0.5 * first)
    >>> ranking.at(share), len(measured)
    ((50,), 8)
    """
    measured = [(0.0, measure(ranking.now))]
    wanted = goal(measured[0][1])
    low, high = 0.0, 1.0
    seen = {ranking.now: measured[0][1]}
    while len(measured) < attempts:
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
    """Returns the groups to remove by block, for blocks that lose any.

    Example:

    >>> scores = np.arange(8.0)
    >>> blocks = [ChannelBlock("a", np.array([4, 7]))]
    >>> ranking = rank_units(blocks, scores, "uniform")
    >>> least_important(ranking, (1,), scores)
    {'a': array([4])}
    """
    found = {}
    for block, width in zip(ranking.blocks, widths, strict=True):
        order = np.argsort(scores[block.groups], kind="stable")
        if width < len(block):
            gone = order[: len(block) - width]
            found[block.name] = block.groups[np.sort(gone)]
    return found
