"""Which units go: allocation, targets, rounding and floors, as plain NumPy.

Every allocation is a ranking of all units, weakest first, with the share of
the cut at which each one goes; every target is a length of that ranking.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ALLOCATIONS = ("uniform", "global", "isomorphic")
TARGETS = ("channels", "macs", "params", "latency")
MEASUREMENTS = 8

Widths = tuple[int, ...]
Cost = Callable[[Widths], float]


@dataclass(frozen=True, eq=False)
class ChannelBlock:
    """Units that are made by the same layers; their number is one width.

    Example:

    >>> block = ChannelBlock("conv", np.arange(20), step=8, floor=8)
    >>> [block.width(wanted) for wanted in (20, 19, 9, 3)]
    [20, 16, 8, 8]

    Args:
        name: The layer that makes them, unique.
        groups: Their class numbers in the graph, in channel order.
        kind: What blocks of equal structure have in common. Defaults to
            `None`.
        before: How many there were before the first of several cuts; at least
            as many as now. Defaults to `None`: as many as now.
        step: A changed width is a multiple of it. Defaults to `1`.
        floor: Least width after a cut, a multiple of `step`. Defaults to `1`.
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
        """Returns the width to cut to: rounded down, not below the floor."""
        if wanted >= len(self):
            return len(self)
        return min(len(self), max(self.floor, wanted - wanted % self.step))

    def wider(self, width: int) -> int:
        """Returns the next larger width that is allowed."""
        return min(len(self), width - width % self.step + self.step)


@dataclass(frozen=True, eq=False)
class Ranking:
    """The units of some blocks, weakest first.

    Args:
        blocks: The blocks.
        owners: For each unit in the ranking the number of its block.
        keys: For each the share of the cut at which it goes, in (0, 1).
    """

    blocks: tuple[ChannelBlock, ...]
    owners: np.ndarray
    keys: np.ndarray

    def widths(self, count: int) -> Widths:
        """Returns every block's width where the `count` weakest units go."""
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


def rank(
    blocks: Sequence[ChannelBlock], scores: np.ndarray, allocation: str
) -> Ranking:
    """Puts the units of all blocks in one order.

    Example:

    >>> blocks = [
    ...     ChannelBlock("a", np.array([0, 1])),
    ...     ChannelBlock("b", np.array([2, 3])),
    ... ]
    >>> scores = np.array([1.0, 2.0, 3.0, 4.0])
    >>> [rank(blocks, scores, how).at(0.5) for how in ("uniform", "global")]
    [(1, 1), (1, 2)]

    Args:
        blocks: The blocks that may be cut.
        scores: One score a class; the weakest go first. Scores of different
            blocks must be comparable for "global" and "isomorphic".
        allocation: "uniform" cuts the same share of each block, "global" the
            weakest units wherever they are, "isomorphic" the same share of
            each group of equal structure and in it the weakest.

    Returns:
        The ranking. "global" keeps at least one unit a block.
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
        return Ranking((), np.zeros(0, int), np.zeros(0))
    order = np.argsort(np.concatenate(keys), kind="stable")
    return Ranking(
        tuple(blocks),
        np.concatenate(owners)[order],
        np.concatenate(keys)[order],
    )


def by_cost(ranking: Ranking, cost: Cost, goal: float) -> Widths:
    """Finds the smallest cut that costs no more than a goal.

    Where rounding has cut more than that, the strongest blocks get units
    back as long as the goal is kept.

    Example:

    >>> blocks = [
    ...     ChannelBlock("a", np.arange(10)),
    ...     ChannelBlock("b", np.arange(10, 20)),
    ... ]
    >>> ranking = rank(blocks, np.arange(20.0), "global")
    >>> by_cost(ranking, sum, 15)
    (5, 10)

    Args:
        ranking: From `rank`.
        cost: From widths to the cost of the model; smaller widths must not
            cost more.
        goal: What the model may cost.

    Returns:
        One width a block; the smallest possible where the goal is out of
        reach.
    """
    low, high = -1, len(ranking.owners)
    while high - low > 1:
        middle = (low + high) // 2
        if cost(ranking.widths(middle)) <= goal:
            high = middle
        else:
            low = middle
    return _give_back(ranking, ranking.widths(high), cost, goal)


def _give_back(
    ranking: Ranking, widths: Widths, cost: Cost, goal: float
) -> Widths:
    if not widths or cost(widths) > goal:
        return widths
    # The blocks whose last unit to go was the strongest come first.
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


def _last_key(ranking: Ranking, block: int, width: int) -> float:
    keys = ranking.keys[ranking.owners == block]
    return float(keys[len(ranking.blocks[block]) - width - 1])


def by_measure(
    ranking: Ranking,
    measure: Cost,
    goal: Callable[[float], float],
    attempts: int = MEASUREMENTS,
) -> tuple[float, list[tuple[float, float]]]:
    """Finds a share of the cut by measuring, a few times only.

    Example:

    >>> scores = np.arange(100.0)
    >>> ranking = rank([ChannelBlock("a", np.arange(100))], scores, "uniform")
    >>> share, measured = by_measure(ranking, sum, lambda first: 0.5 * first)
    >>> ranking.at(share), len(measured)
    ((50,), 8)

    Args:
        ranking: From `rank`.
        measure: From widths to what was measured.
        goal: From the first measurement, of the uncut model, to the goal.
        attempts: How often to measure at most, the first one included.
            Defaults to `8`.

    Returns:
        The smallest share that met the goal, 1.0 where none of those tried
        did, and what was measured as `(share, value)`.
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


def weakest(
    ranking: Ranking, widths: Widths, scores: np.ndarray
) -> dict[str, np.ndarray]:
    """Names the units to cut.

    Example:

    >>> scores = np.arange(8.0)
    >>> ranking = rank([ChannelBlock("a", np.array([4, 7]))], scores, "uniform")
    >>> weakest(ranking, (1,), scores)
    {'a': array([4])}

    Args:
        ranking: From `rank`.
        widths: The width to cut each block to.
        scores: One score a class.

    Returns:
        The groups to cut by the name of the block, only where there are any.
    """
    found = {}
    for block, width in zip(ranking.blocks, widths, strict=True):
        order = np.argsort(scores[block.groups], kind="stable")
        if width < len(block):
            gone = order[: len(block) - width]
            found[block.name] = block.groups[np.sort(gone)]
    return found
