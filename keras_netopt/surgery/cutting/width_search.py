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
RESOURCES = ("channels", "macs", "params", "bytes", "latency", "meter")
MEASURED = ("bytes", "latency", "meter")
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

    def narrower(self, width: int) -> int:
        """Returns the largest allowed width that is not above a width."""
        if width >= len(self):
            return len(self)
        return min(len(self), max(self.floor, width - width % self.step))

    def wider(self, width: int) -> int:
        """Returns the smallest allowed width that is not below a width."""
        return self.narrower(width + -width % self.step)

    def nearest(self, width: int) -> int:
        """Returns the allowed width nearest to a width, the wider of two."""
        low, high = self.narrower(width), self.wider(width)
        return high if high - width <= width - low else low


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

    def asked(self, count: int) -> Widths:
        """Returns the widths without the `count` least important units."""
        cut = np.bincount(self.owners[:count], minlength=len(self.blocks))
        return tuple(
            len(block) - int(n)
            for block, n in zip(self.blocks, cut, strict=True)
        )

    def asked_at(self, share: float) -> Widths:
        """Returns the widths at a share of the cut in [0, 1], not rounded."""
        return self.asked(int(np.searchsorted(self.keys, share - 1e-9)))

    def at(self, share: float) -> Widths:
        """Returns the widths at a share of the cut, rounded."""
        whole = sum(block.original for block in self.blocks)
        return self.rounded(self.asked_at(share), (1 - share) * whole)

    def rounded(self, asked: Widths, total: float) -> Widths:
        """Rounds widths so that their sum is near a total."""
        half = min((block.step for block in self.blocks), default=0) / 2
        return round_widths(self.blocks, asked, sum, total + half)

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


def find_widths(
    ranking: UnitRanking, cost: Cost, goal: float
) -> tuple[Widths, Widths]:
    """Finds the smallest cut whose cost does not exceed a goal.

    If the goal cannot be met, it is the largest possible cut. `cost` must not
    grow when a width is reduced.

    Returns:
        The widths of the cut, and the same rounded; those too meet the goal.
    """
    low, high = -1, len(ranking.owners)
    while high - low > 1:
        middle = (low + high) // 2
        if cost(_at_least(ranking.blocks, ranking.asked(middle))) <= goal:
            high = middle
        else:
            low = middle
    asked = ranking.asked(high)
    return asked, round_widths(ranking.blocks, asked, cost, goal)


def round_widths(
    blocks: Sequence[ChannelBlock], asked: Widths, cost: Cost, goal: float
) -> Widths:
    """Rounds widths to the nearest allowed ones, with a cost near a goal.

    While the cost exceeds the goal, widths that were rounded up are rounded
    down, those with the largest rounding error first; then widths that were
    rounded down are rounded up where the goal is still met. Every width stays
    between the two allowed widths next to the one asked for.
    """
    wanted = _at_least(blocks, asked)
    pairs = list(zip(blocks, wanted, strict=True))
    lower = [block.narrower(width) for block, width in pairs]
    upper = [block.wider(width) for block, width in pairs]
    widths = tuple(block.nearest(width) for block, width in pairs)
    if lower == upper:
        return widths
    order = sorted(
        range(len(pairs)),
        key=lambda n: -abs(widths[n] - wanted[n]) / blocks[n].step,
    )

    def steps(other: Sequence[int]) -> dict[int, float]:
        """Returns by how much the cost changes if one width is replaced."""
        return {
            n: abs(cost(_replace(widths, n, other[n])) - now)
            for n in order
            if other[n] != widths[n]
        }

    now, saved = cost(widths), {}
    if now > goal:
        saved = steps(lower)
    while now > goal and saved:
        enough = [n for n in saved if saved[n] >= now - goal]
        chosen = min(enough, key=saved.__getitem__, default=next(iter(saved)))
        del saved[chosen]
        widths = _replace(widths, chosen, lower[chosen])
        now = cost(widths)
    for n, _ in sorted(steps(upper).items(), key=lambda pair: -pair[1]):
        tried = _replace(widths, n, upper[n])
        if cost(tried) <= goal:
            widths = tried
    return widths


def _replace(widths: Widths, place: int, width: int) -> Widths:
    return (*widths[:place], width, *widths[place + 1 :])


def _at_least(blocks: Sequence[ChannelBlock], widths: Widths) -> Widths:
    """Returns the widths, raised to the smallest allowed ones."""
    return tuple(
        min(len(block), max(block.floor, width))
        for block, width in zip(blocks, widths, strict=True)
    )


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
