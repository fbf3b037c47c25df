"""Bayesian optimization with tree-structured Parzen estimators."""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_netopt.checks import check_bool, check_integer, check_positive
from keras_netopt.search.oracles.density_ratio import DensityRatio
from keras_netopt.search.oracles.observations import (
    REJECTED,
    STOPPED,
    Observation,
    Rank,
    split_observations,
)
from keras_netopt.search.oracles.rung_values import (
    count_at_rung,
    find_rung,
    rank_at_rung,
)
from keras_netopt.search.oracles.search_oracle import SearchOracle
from keras_netopt.search.search_space import SearchSpace, Values

MOST_BEST = 25
Gamma = float | Callable[[int], int]
# Newest rejected points in the density of the other trials.
MOST_REJECTED = 100


class TPEOracle(SearchOracle):
    """Tree-structured Parzen estimator (TPE).

    After `n_startup_trials` random trials, a kernel density estimate l of the
    best tenth of the trials and an estimate g of the others are fitted; the
    next point is the candidate sampled from l with the largest l / g. Running
    trials belong to g, so that parallel workers do not repeat each other. The
    densities of a conditional hyperparameter are fitted to the trials in
    which it was active. Trials that a stopper has ended are compared with the
    others after the most epochs that enough trials have reached, two more
    than there are hyperparameters.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import TPEOracle
    >>> hp = keras_tuner.HyperParameters()
    >>> _ = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    >>> found = [({"rate": 10.0**-i}, abs(i - 2.5)) for i in range(1, 5)]
    >>> oracle = TPEOracle(
    ...     "val_loss", 50, seed=1, hyperparameters=hp, warm_start=found
    ... )

    Args:
        objective: As in `SearchOracle`.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        multivariate: Whether the densities are joint over hyperparameters,
            which captures their interactions, or independent. Defaults to
            `True`.
        n_startup_trials: Random trials at the start, the observations of
            `warm_start` included. Defaults to `10`.
        n_ei_candidates: Candidates sampled from l per trial. Defaults to
            `24`.
        gamma: Fraction of trials in l, in (0, 1), at most 25 trials; or a
            function from the number of trials to the number in l. With a
            stopper, of the trials that are compared. Defaults to `0.1`.
        prior_weight: Weight of the prior kernel, which covers the range,
            relative to the kernel of a trial; above 0. Defaults to `1.0`.
        **options: Other arguments of `SearchOracle`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Bergstra et al. 2011, *Algorithms for Hyper-Parameter Optimization*,
        NeurIPS: its symbols for `gamma` and `n_startup_trials` are γ and the
        size of the initial design. Bandwidths and weights as in Watanabe
        2023, arXiv 2304.11127.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        multivariate: bool = True,
        n_startup_trials: int = 10,
        n_ei_candidates: int = 24,
        gamma: Gamma = 0.1,
        prior_weight: float = 1.0,
        **options: Any,
    ) -> None:
        self.multivariate = check_bool(multivariate, "multivariate")
        self.n_startup_trials = check_integer(
            n_startup_trials, "n_startup_trials", minimum=1
        )
        self.n_ei_candidates = check_integer(
            n_ei_candidates, "n_ei_candidates", minimum=1
        )
        self.gamma = _check_gamma(gamma)
        self.prior_weight = check_positive(prior_weight, "prior_weight")
        super().__init__(objective, max_trials, **options)

    def suggest(self, trial_id: str) -> Values | None:
        """Returns the untried candidate with the largest l / g."""
        observations = self.observations()
        if sum(o.is_evaluated for o in observations) < self.n_startup_trials:
            return self.space.random(self._rng)
        tried, key = self._tried(), self.space.key
        return self.propose(
            self.space, observations, self._rng, lambda v: key(v) in tried
        )

    def propose(
        self,
        space: SearchSpace,
        observations: Sequence[Observation],
        rng: np.random.Generator,
        is_tried: Callable[[Values], bool],
        *,
        least: int = 1,
    ) -> Values:
        """Returns the best candidate for observations, oldest first.

        Prefers candidates for which `is_tried` is false. `least` is the
        minimum number of trials in l.
        """
        compared = sum(o.is_evaluated for o in observations)
        rank: Rank = operator.attrgetter("rank")
        if any(o.state == STOPPED for o in observations):
            rung = find_rung(observations, len(space.searchable) + 2)
            compared = count_at_rung(observations, rung)
            rank = functools.partial(rank_at_rung, rung=rung)
        best, rest = split_observations(
            observations, max(self._best_of(compared), least), rank
        )
        rest = _newest_rejected(rest)
        ratio = DensityRatio(
            space,
            _places(best, space),
            _places(rest, space),
            candidates=self.n_ei_candidates,
            prior_weight=self.prior_weight,
            rng=rng,
        )
        together = ratio.always_active() if self.multivariate else []
        return ratio.first_untried(together, is_tried)

    def _best_of(self, count: int) -> int:
        if callable(self.gamma):
            return min(max(int(self.gamma(count)), 1), count)
        return min(math.ceil(self.gamma * count), MOST_BEST)


def _newest_rejected(rest: list[Observation]) -> list[Observation]:
    surplus = sum(o.state == REJECTED for o in rest) - MOST_REJECTED
    kept = []
    for observation in rest:
        if observation.state == REJECTED and surplus > 0:
            surplus -= 1
        else:
            kept.append(observation)
    return kept


def _places(side: Sequence[Observation], space: SearchSpace) -> np.ndarray:
    if not side:
        return np.empty((0, len(space.searchable)))
    # Faster than `np.stack` for thousands of points.
    joined = np.concatenate([observation.places for observation in side])
    return joined.reshape(len(side), -1)


def _check_gamma(gamma: Any) -> Gamma:
    is_share = isinstance(gamma, float) and 0.0 < gamma < 1.0
    if not (callable(gamma) or is_share):
        raise ValueError(
            "Argument `gamma` must be a float in (0, 1) or a function from "
            "the number of trials to the number of best trials. "
            f"Received: gamma={gamma!r}"
        )
    return gamma
