"""Random subsets of exact sizes, their crossover and mutation; plain NumPy."""

from collections.abc import Iterator, Sequence

import numpy as np

Kept = np.ndarray  # One boolean per element, `True` = kept.


class Subsets:
    """The subsets that keep an exact number of elements.

    The elements are those of several layers in a row. Each layer keeps a
    number of its own, or all together keep a number, at least one per layer.

    Example:

    >>> import numpy as np
    >>> subsets = Subsets((4, 3), (2, 1))
    >>> rng = np.random.default_rng(0)
    >>> [int(part.sum()) for part in subsets.split(subsets.draw(rng))]
    [2, 1]

    Args:
        sizes: Elements of each layer, each at least 1.
        counts: Elements that each layer keeps, each at least 1.
        together: Whether only the sum of `counts` is kept, over all layers.
            Defaults to `False`.
        swap: Share of the kept elements that a mutation exchanges, at least
            one. Defaults to `0.0`: one per layer.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        counts: Sequence[int],
        *,
        together: bool = False,
        swap: float = 0.0,
    ) -> None:
        self.sizes, self.counts = tuple(sizes), tuple(counts)
        self.together, self._swap = together, swap
        self._ends = np.cumsum(self.sizes)
        # Where one number is kept: the layers, or all of them as one.
        self._goals = (
            [(slice(0, self.size), sum(self.counts))]
            if together
            else list(zip(self._slices(), self.counts, strict=True))
        )

    @property
    def size(self) -> int:
        """Number of elements of all layers."""
        return int(self._ends[-1])

    def split(self, kept: Kept) -> list[np.ndarray]:
        """Returns the part of each layer."""
        return [kept[one] for one in self._slices()]

    def draw(self, rng: np.random.Generator) -> Kept:
        """Draws a subset, each of those of its sizes with equal probability.

        With `together`, a layer that would lose all of its elements gets one
        of another layer's number.
        """
        kept: Kept = np.zeros(self.size, bool)
        for part, count in self._goals:
            size = part.stop - part.start
            kept[part.start + rng.choice(size, count, replace=False)] = True
        return self._fill(kept, rng)

    def cross(self, one: Kept, other: Kept, rng: np.random.Generator) -> Kept:
        """Takes each element from one of two subsets, and repairs the counts.

        What both keep is kept and what neither keeps is not: only elements of
        one of them are added or removed for the exact counts.
        """
        child = np.where(rng.random(self.size) < 0.5, one, other)
        open_ = one ^ other
        for part, count in self._goals:
            surplus = int(child[part].sum()) - count
            free = np.flatnonzero(open_[part] & (child[part] == (surplus > 0)))
            changed = rng.choice(free, abs(surplus), replace=False)
            child[part.start + changed] = surplus < 0
        return self._fill(child, rng)

    def mutate(self, kept: Kept, rng: np.random.Generator) -> Kept:
        """Exchanges kept elements for others, one in each layer."""
        child = kept.copy()
        for part, count in self._goals:
            inside = np.flatnonzero(kept[part])
            outside = np.flatnonzero(~kept[part])
            swaps = max(1, round(self._swap * count))
            swaps = min(swaps, len(inside), len(outside))
            for places, value in ((inside, False), (outside, True)):
                chosen = rng.choice(places, swaps, replace=False)
                child[part.start + chosen] = value
        return self._fill(child, rng)

    def _fill(self, kept: Kept, rng: np.random.Generator) -> Kept:
        """Gives one element to each layer without any; the sum stays."""
        if not self.together:
            return kept
        sums = np.array([part.sum() for part in self.split(kept)])
        for empty in np.flatnonzero(sums == 0).tolist():
            rich: np.ndarray = np.repeat(sums > 1, self.sizes)
            donor = rng.choice(np.flatnonzero(kept & rich))
            kept[donor] = False
            sums[np.searchsorted(self._ends, donor, side="right")] -= 1
            start = int(self._ends[empty]) - self.sizes[empty]
            kept[start + rng.integers(self.sizes[empty])] = True
            sums[empty] = 1
        return kept

    def _slices(self) -> Iterator[slice]:
        for end, size in zip(self._ends.tolist(), self.sizes, strict=True):
            yield slice(end - size, end)
