"""Ranks the single weights of all layers by one threshold, layer by layer."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.masks import count_protected
from keras_netopt.sparsity.ranking import mark_lowest
from keras_netopt.sparsity.score_cut import (
    Part,
    ScoreCut,
    find_cut,
    mark_below,
)


class _Matrix(NamedTuple):
    """One matrix of a target: the numbers of the target and of the matrix."""

    target: int
    place: int
    masked: int
    size: int


class WeightRanking:
    """Marks the lowest weights of several targets, all together.

    It gives the masks of `masks.prune_globally` for the unstructured pattern,
    but holds the scores of one target at a time.

    Args:
        views: The view of each target.
        scores: The scores of each target, of shape `(fan_in, fan_out)`; an
            item may be computed whenever it is read.
        masks: The current mask of each target in this shape, or `None`.
        min_kept: See `masks.prune_globally`.
    """

    def __init__(
        self,
        views: Sequence[KernelView],
        scores: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        min_kept: int | None,
    ) -> None:
        self._views = views
        self._scores = scores
        self._masks = masks
        self._min_kept = min_kept
        self._matrices = list(self._list_matrices())
        self._latest: tuple[int, list[Part]] | None = None
        self._protected: dict[int, np.ndarray] = {}

    def prune(self, weights: int) -> Iterator[list[np.ndarray]]:
        """Yields the pruned weights of each target, a matrix per stack item.

        Args:
            weights: Number of weights to prune in all targets together.
        """
        total = sum(one.size for one in self._matrices)
        masked = sum(one.masked for one in self._matrices)
        counts = self._count_protected(1.0 - weights / max(1, total))
        weights = min(weights, total - sum(counts))
        if weights <= masked:
            # Some masked weights return: only those are ranked.
            cut = self._cut([one.masked for one in self._matrices], weights)
            yield from self._mark(cut, weights)
            return
        alive = [one.size - one.masked for one in self._matrices]
        cut = self._cut(alive, weights - masked, alive=True)
        while cut is not None:
            short = [
                i
                for i, kept in enumerate(counts)
                if kept > cut.above[i] and i not in self._protected
            ]
            if not short:
                break
            # The cut would prune some of the best weights of these.
            for i in short:
                self._protect(i, counts[i])
                alive[i] -= counts[i]
            cut = self._cut(alive, weights - masked, alive=True)
        yield from self._mark(cut, weights - masked, alive=True)

    def _list_matrices(self) -> Iterator[_Matrix]:
        for i, view in enumerate(self._views):
            mask = self._masks[i]
            parts = [None] * view.stack
            if mask is not None:
                parts = np.hsplit(mask, view.stack)
            size = view.size // view.stack
            for place, part in enumerate(parts):
                kept = size if part is None else int(np.count_nonzero(part))
                yield _Matrix(i, place, size - kept, size)

    def _count_protected(self, density: float) -> list[int]:
        """Returns the number of weights of each matrix that are kept."""
        found = []
        for one in self._matrices:
            outputs = self._views[one.target].matrix_shape[1]
            count = count_protected(one.size, outputs, self._min_kept, density)
            found.append(min(count, one.size - one.masked))
        return found

    def _protect(self, i: int, count: int) -> None:
        """Takes the best weights of a matrix out of the ranking."""
        scores, alive = self._read(i)
        if alive is not None:
            scores = np.where(alive, scores, -np.inf)
        best = mark_lowest(-scores, count)
        self._protected[i] = np.flatnonzero(best)

    def _cut(
        self, sizes: list[int], count: int, *, alive: bool = False
    ) -> ScoreCut | None:
        """Returns the cut, `None` if all or no weights are marked."""
        if not 0 < count < sum(sizes):
            return None
        return find_cut(lambda i: self._read_ranked(i, alive), sizes, count)

    def _mark(
        self, cut: ScoreCut | None, count: int, *, alive: bool = False
    ) -> Iterator[list[np.ndarray]]:
        ties = 0 if cut is None else cut.ties
        found: list[np.ndarray] = []
        for i, one in enumerate(self._matrices):
            scores, ranked = self._read_ranked(i, alive)
            if cut is None:
                chosen = np.full(scores.shape, count > 0)
                if ranked is not None:
                    chosen &= ranked
            else:
                chosen = mark_below(scores, ranked, cut.value, ties)
                if ties:
                    equal = chosen & (scores == cut.value)
                    ties -= int(np.count_nonzero(equal))
            mask = self._read(i)[1]
            if alive and mask is not None:
                chosen |= ~mask
            view = self._views[one.target]
            found.append(chosen.reshape(view.matrix_shape))
            if one.place == view.stack - 1:
                yield found
                found = []

    def _read_ranked(self, i: int, alive: bool) -> Part:
        """Returns the scores of a matrix and which of them are ranked."""
        scores, mask = self._read(i)
        if not alive:
            masked = np.zeros(scores.shape, bool) if mask is None else ~mask
            return scores, masked
        if i in self._protected:
            mask = np.ones(scores.shape, bool) if mask is None else mask.copy()
            mask[self._protected[i]] = False
        return scores, mask

    def _read(self, i: int) -> Part:
        """Returns the scores and the mask of a matrix, as vectors.

        Those of the latest target are kept.
        """
        one = self._matrices[i]
        if self._latest is None or self._latest[0] != one.target:
            self._latest = None
            self._latest = one.target, self._split(one.target)
        return self._latest[1][one.place]

    def _split(self, target: int) -> list[Part]:
        stack = self._views[target].stack
        scores = np.hsplit(self._scores[target], stack)
        mask = self._masks[target]
        if mask is None:
            return [(part.reshape(-1), None) for part in scores]
        pairs = zip(scores, np.hsplit(mask, stack), strict=True)
        return [(part.reshape(-1), one.reshape(-1)) for part, one in pairs]
