"""Searches a subset of low loss: at random, or by a genetic algorithm."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_netopt.search.subnetworks.subsets import Kept, Subsets

HEURISTICS = ("random", "genetic")
POPULATION = 20
TOURNAMENT = 3

Evaluate = Callable[[Kept], float]


@dataclass(frozen=True, eq=False)
class SearchedSubset:
    """The subset of the lowest loss, and what was evaluated on the way.

    Args:
        kept: The subset.
        losses: The losses of all evaluated subsets, in order.
    """

    kept: Kept
    losses: tuple[float, ...]


def search_subset(
    heuristic: str,
    subsets: Subsets,
    evaluate: Evaluate,
    candidates: int,
    rng: np.random.Generator,
) -> SearchedSubset:
    """Evaluates a number of subsets and returns the best one.

    Args:
        heuristic: "random", or "genetic": a population of 20, of which the
            best one survives; parents by tournaments of 3, uniform crossover
            and a swap mutation.
        subsets: The subsets.
        evaluate: Computes the loss of one.
        candidates: Number of evaluations.
        rng: The generator of random numbers.
    """
    record = _Record(evaluate)
    if heuristic == "random":
        for _ in range(candidates):
            record.add(subsets.draw(rng))
    else:
        _evolve(subsets, record, candidates, rng)
    return SearchedSubset(record.best, tuple(record.losses))


class _Record:
    """Evaluates subsets, and keeps the best one."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self.losses: list[float] = []
        self.best: Kept = np.zeros(0, bool)
        self.lowest = np.inf

    def add(self, kept: Kept) -> tuple[float, Kept]:
        loss = self._evaluate(kept)
        self.losses.append(loss)
        rank = loss if np.isfinite(loss) else np.inf
        if rank < self.lowest or len(self.losses) == 1:
            self.best, self.lowest = kept, rank
        return rank, kept


def _evolve(
    subsets: Subsets,
    record: _Record,
    candidates: int,
    rng: np.random.Generator,
) -> None:
    pool = [
        record.add(subsets.draw(rng))
        for _ in range(min(POPULATION, candidates))
    ]
    while len(record.losses) < candidates:
        size = min(POPULATION - 1, candidates - len(record.losses))
        children = [
            subsets.mutate(
                subsets.cross(_choose(pool, rng), _choose(pool, rng), rng), rng
            )
            for _ in range(size)
        ]
        elite = (record.lowest, record.best)
        pool = [elite, *(record.add(child) for child in children)]


def _choose(pool: list[tuple[float, Kept]], rng: np.random.Generator) -> Kept:
    """Returns the best of a few random members."""
    places = rng.integers(len(pool), size=TOURNAMENT).tolist()
    return min((pool[i] for i in places), key=lambda one: one[0])[1]
