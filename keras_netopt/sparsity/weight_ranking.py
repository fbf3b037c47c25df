"""Ranks the single weights of all layers by one threshold, layer by layer."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.masks import (
    UnitScores,
    count_protected,
    find_protected,
)
from keras_netopt.sparsity.patterns import Unstructured
from keras_netopt.sparsity.score_cut import Part, ScoreCut, find_cut
from keras_netopt.sparsity.stacks import score_stack


class _Place(NamedTuple):
    """One matrix of a target: the numbers of the target and of the matrix."""

    target: int
    matrix: int


class WeightRanking:
    """Marks the lowest weights of several targets, all together.

    It gives the masks of `masks.prune_globally` for the unstructured pattern,
    but holds the scores of one target at a time.

    Args:
        views: The view of each target.
        matrices: The scores of each target, of shape `(fan_in, fan_out)`; an
            item may be computed whenever it is read.
        earlier: The current mask of each target in this shape, or `None`.
        min_kept: See `masks.prune_globally`.
    """

    def __init__(
        self,
        views: Sequence[KernelView],
        matrices: Sequence[np.ndarray],
        earlier: Sequence[np.ndarray | None],
        min_kept: int | None,
    ) -> None:
        self._views = views
        self._matrices = matrices
        self._earlier = earlier
        self._min_kept = min_kept
        self._places = [
            _Place(i, k)
            for i, view in enumerate(views)
            for k in range(view.stack)
        ]
        self._latest: tuple[int, list[UnitScores]] | None = None
        self._protected: dict[int, np.ndarray] = {}

    def prune(self, weights: int) -> Iterator[list[np.ndarray]]:
        """Yields the pruned weights of each target, a matrix per stack item.

        Args:
            weights: Number of weights to prune in all targets together.
        """
        sizes = [self._size(place) for place in self._places]
        masked = self._count_masked()
        total = sum(sizes)
        counts = [
            count_protected(
                size,
                self._views[place.target].matrix_shape[1],
                self._min_kept,
                1.0 - weights / total if total else 1.0,
            )
            for place, size in zip(self._places, sizes, strict=True)
        ]
        alive = [n - m for n, m in zip(sizes, masked, strict=True)]
        counts = [min(one) for one in zip(counts, alive, strict=True)]
        weights = min(weights, total - sum(counts))
        unmask = weights <= sum(masked)
        ranked = masked if unmask else alive
        count = weights if unmask else weights - sum(masked)
        cut = self._cut(ranked, count, unmask, [0] * len(sizes))
        while cut is not None and not unmask:
            short = [
                i
                for i, kept in enumerate(counts)
                if kept > cut.above[i] and i not in self._protected
            ]
            if not short:
                break
            # Fewer than `kept` weights of these are above the cut.
            for i in short:
                self._protected[i] = find_protected(self._units(i), counts[i])
            cut = self._cut(ranked, count, unmask, counts)
        yield from self._mark(cut, unmask, ranked, count)

    def _cut(
        self, ranked: list[int], count: int, unmask: bool, counts: list[int]
    ) -> ScoreCut | None:
        """Returns the cut, `None` if all or no weights are marked."""
        left = [
            size - (counts[i] if i in self._protected else 0)
            for i, size in enumerate(ranked)
        ]
        if not 0 < count < sum(left):
            return None
        return find_cut(lambda i: self._read(i, unmask), left, count)

    def _mark(
        self,
        cut: ScoreCut | None,
        unmask: bool,
        ranked: list[int],
        count: int,
    ) -> Iterator[list[np.ndarray]]:
        ties = 0 if cut is None else cut.ties
        found: list[np.ndarray] = []
        for i, place in enumerate(self._places):
            scores, candidates = self._read(i, unmask)
            if cut is None:
                chosen = np.full(scores.shape, count > 0)
            else:
                chosen = scores < cut.value
                equal = scores == cut.value
                if candidates is not None:
                    equal &= candidates
                first = np.flatnonzero(equal)[:ties] if ties else []
                chosen[first] = True
                ties -= len(first)
            if candidates is not None:
                chosen &= candidates
            shape = self._views[place.target].matrix_shape
            masked = self._units(i).first
            chosen = chosen.reshape(shape)
            if masked is not None and not unmask:
                chosen |= masked
            found.append(chosen)
            if place.matrix == self._views[place.target].stack - 1:
                yield found
                found = []

    def _read(self, i: int, unmask: bool) -> Part:
        """Returns the scores of a matrix and which of them are ranked."""
        units = self._units(i)
        ranked = None
        if units.first is not None:
            ranked = units.first if unmask else ~units.first
            ranked = ranked.reshape(-1)
        elif unmask:
            ranked = np.zeros(units.scores.size, bool)
        if i in self._protected:
            ranked = (
                np.ones(units.scores.size, bool)
                if ranked is None
                else ranked.copy()
            )
            ranked[self._protected[i]] = False
        return units.scores.reshape(-1), ranked

    def _units(self, i: int) -> UnitScores:
        """Returns the scores of a matrix; those of one target are kept."""
        target, matrix = self._places[i]
        if self._latest is None or self._latest[0] != target:
            self._latest = None
            parts = score_stack(
                Unstructured(),
                self._views[target],
                self._matrices[target],
                self._earlier[target],
            )
            self._latest = target, parts
        return self._latest[1][matrix]

    def _size(self, place: _Place) -> int:
        rows, columns = self._views[place.target].matrix_shape
        return rows * columns

    def _count_masked(self) -> list[int]:
        found = []
        for i, view in enumerate(self._views):
            mask = self._earlier[i]
            if mask is None:
                found += [0] * view.stack
                continue
            parts = np.hsplit(mask, view.stack)
            found += [part.size - int(np.count_nonzero(part)) for part in parts]
        return found
