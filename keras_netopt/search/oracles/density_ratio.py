"""Candidates by the ratio of two densities, for TPE."""

import functools
import heapq
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_netopt.search.sampling.parzen import ParzenEstimator
from keras_netopt.search.search_dimension import SearchDimension
from keras_netopt.search.search_space import SearchSpace, Values

# Candidates that are checked before a tried point is returned.
MAX_CANDIDATES = 50


class DensityRatio:
    """The ratio l / g of two densities over a search space.

    A dimension is fitted to the points in which it was active. `best` and
    `rest` hold the coordinates of the points in l and g, shape `(n, d)`, NaN
    for inactive dimensions, oldest first. `candidates` is the number of
    samples from l per suggestion; `prior_weight` is the weight of the prior
    kernel relative to a point.
    """

    def __init__(
        self,
        space: SearchSpace,
        best: np.ndarray,
        rest: np.ndarray,
        *,
        candidates: int,
        prior_weight: float,
        rng: np.random.Generator,
    ) -> None:
        self.space = space
        self._sides = (best, rest)
        self._candidates, self._prior = candidates, prior_weight
        self._rng = rng
        self._index = {id(d): i for i, d in enumerate(space.searchable)}
        self._ranked: dict[int, list[tuple[float, Any]]] = {}

    def always_active(self) -> list[int]:
        """Returns the dimensions that are active in all best points."""
        best = self._sides[0]
        if not len(best):
            return []
        return np.flatnonzero(~np.isnan(best).any(axis=0)).tolist()

    def sample(self, indices: Sequence[int]) -> list[tuple[float, list[Any]]]:
        """Samples candidates from the joint density of some dimensions.

        Returns distinct candidates, best first: log of l / g, and the values.
        """
        dimensions = [self.space.searchable[i] for i in indices]
        good, bad = (self._estimator(side, indices) for side in self._sides)
        places = good.sample(self._candidates, self._rng)
        ratios = good.log_density(places) - bad.log_density(places)
        found: dict[Hashable, tuple[float, list[Any]]] = {}
        for i in np.argsort(-ratios, kind="stable").tolist():
            values = [
                d.value(place)
                for d, place in zip(dimensions, places[i].tolist(), strict=True)
            ]
            codes = tuple(map(SearchDimension.code, dimensions, values))
            found.setdefault(codes, (float(ratios[i]), values))
        return list(found.values())

    def first_untried(
        self, indices: Sequence[int], is_tried: Callable[[Values], bool]
    ) -> Values:
        """Returns the best untried point, or the best one if all are tried.

        The dimensions `indices` have a joint density; the others are
        independent.
        """
        best = None
        for joint in self.sample(indices) if len(indices) > 1 else [(0.0, [])]:
            fixed = {
                id(self.space.searchable[i]): value
                for i, value in zip(indices, joint[1], strict=False)
            }
            for values in itertools.islice(
                self._descend(fixed), MAX_CANDIDATES
            ):
                if not is_tried(values):
                    return values
                best = best or values
        return best or {}

    def _descend(self, fixed: Mapping[int, Any]) -> Any:
        """Yields points by falling ratio, with independent dimensions."""
        order = itertools.count()
        heap: list[tuple[float, int, dict[int, int]]] = [(0.0, next(order), {})]
        seen = set()
        while heap:
            loss, _, ranks = heapq.heappop(heap)
            values = self.space.fill(
                functools.partial(self._choose, fixed, ranks)
            )
            yield values
            for dimension in self.space.active(values):
                i = self._index.get(id(dimension))
                if i is None or id(dimension) in fixed:
                    continue
                ranked, rank = self._rank(i), ranks.get(i, 0) + 1
                changed = {**ranks, i: rank}
                name = frozenset(changed.items())
                if rank < len(ranked) and name not in seen:
                    seen.add(name)
                    more = ranked[rank - 1][0] - ranked[rank][0]
                    heapq.heappush(heap, (loss + more, next(order), changed))

    def _choose(
        self,
        fixed: Mapping[int, Any],
        ranks: Mapping[int, int],
        dimension: SearchDimension,
    ) -> Any:
        if id(dimension) in fixed:
            return fixed[id(dimension)]
        i = self._index.get(id(dimension))
        if i is None:
            return dimension.value(0.5)
        return self._rank(i)[ranks.get(i, 0)][1]

    def _rank(self, i: int) -> list[tuple[float, Any]]:
        if i not in self._ranked:
            drawn = self.sample([i])
            self._ranked[i] = [(ratio, values[0]) for ratio, values in drawn]
        return self._ranked[i]

    def _estimator(
        self, points: np.ndarray, indices: Sequence[int]
    ) -> ParzenEstimator:
        chosen = points[:, list(indices)]
        chosen = chosen[~np.isnan(chosen).any(axis=1)]
        domains = [self.space.searchable[i].domain for i in indices]
        return ParzenEstimator(chosen, domains, self._prior)
