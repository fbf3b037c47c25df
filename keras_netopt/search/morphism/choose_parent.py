"""Which network the next child inherits from.

Both strategies are functions of the finished trials, so that a resumed search
goes on as it would have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_netopt.search.morphism.morphism_trial import MorphismTrial

STRATEGIES = ("evolution", "hill_climbing")


@dataclass(frozen=True)
class NextChild:
    """The parent of a child, and whether the child is changed at all.

    Args:
        parent: The network to inherit from.
        is_mutated: Whether the child is changed. Defaults to `True`.
        others: Networks to inherit from, in this order, where no mutation of
            `parent` is allowed. Defaults to none.
    """

    parent: MorphismTrial
    is_mutated: bool = True
    others: tuple[MorphismTrial, ...] = ()


def evolve(
    trials: Sequence[MorphismTrial],
    *,
    population_size: int,
    sample_size: int,
    sign: int,
    rng: np.random.Generator,
) -> NextChild:
    """Regularized evolution: the oldest network of the population dies.

    The first children are mutations of the parent of the search. Then each
    child inherits from the best of a random sample of the population, which
    is the last `population_size` networks.

    Args:
        trials: Finished trials of the search, the parent first.
        population_size: Number of living networks.
        sample_size: Networks drawn without replacement.
        sign: 1 if a higher score is better, else -1.
        rng: Source of random numbers.
    """
    living = _scored(trials[-population_size:]) or [trials[0]]
    if len(trials) <= population_size:
        parent = trials[0]
    else:
        count = min(sample_size, len(living))
        drawn = rng.choice(len(living), count, replace=False)
        parent = best_of([living[k] for k in sorted(drawn)], sign)
    others = [one for one in living if one is not parent]
    order = rng.permutation(len(others))
    return NextChild(parent, others=tuple(others[k] for k in order))


def climb(
    trials: Sequence[MorphismTrial], *, neighbors: int, sign: int
) -> NextChild:
    """Hill climbing: each generation inherits from the best of the last one.

    The first child of a generation is not changed, so that a network which is
    only trained on competes with the changed ones.

    Args:
        trials: Finished trials of the search, the parent first.
        neighbors: Children per generation.
        sign: 1 if a higher score is better, else -1.
    """
    generation, place = divmod(len(trials) - 1, neighbors)
    begin = 1 + (generation - 1) * neighbors
    last = trials[begin : begin + neighbors] if generation else trials[:1]
    parent = best_of(_scored(last) or [trials[0]], sign)
    others = sorted(
        (one for one in _scored(last) if one is not parent),
        key=lambda one: -sign * (one.score or 0.0),
    )
    return NextChild(parent, place > 0, tuple(others))


def best_of(trials: Sequence[MorphismTrial], sign: int) -> MorphismTrial:
    """Returns the trial with the best score, the first among equals."""
    return max(trials, key=lambda one: (sign * (one.score or 0.0), -one.number))


def _scored(trials: Sequence[MorphismTrial]) -> list[MorphismTrial]:
    return [one for one in trials if one.status == "COMPLETED"]
