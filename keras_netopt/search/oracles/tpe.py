"""Tree-structured Parzen estimators: draw where the best points lie."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_netopt.checks import (
    check_bool,
    check_integer,
    check_positive,
)
from keras_netopt.search.oracles.base import SearchOracle
from keras_netopt.search.oracles.density_ratio import DensityRatio
from keras_netopt.search.oracles.observations import (
    REJECTED,
    Observation,
    split,
)
from keras_netopt.search.space import Space, Values

MOST_BEST = 25
Gamma = float | Callable[[int], int]
# Rejected points that are remembered as bad ones; more would slow it down.
MOST_REJECTED = 100


class TPE(SearchOracle):
    """Draws points where the best trials lie dense and the others do not.

    After some random trials the best tenth makes one density, l, all others
    make another, g; of points drawn from l the one with the largest l / g is
    next. Trials that are running count as bad ones, so several workers
    spread out. With conditions, a hyperparameter learns from the trials in
    which it was active.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import TPE
    >>> hp = keras_tuner.HyperParameters()
    >>> _ = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    >>> found = [({"rate": 10.0**-i}, abs(i - 2.5)) for i in range(1, 5)]
    >>> oracle = TPE(
    ...     "val_loss", 50, seed=1, hyperparameters=hp, warm_start=found
    ... )

    Args:
        objective: As in `SearchOracle`.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        multivariate: Whether hyperparameters are drawn together, so that
            those that matter in pairs are found, or each on its own. Defaults
            to `True`.
        n_startup_trials: Random trials before the first density, those of
            `warm_start` counted. Defaults to `10`.
        n_ei_candidates: Points drawn from l for each trial. Defaults to `24`.
        gamma: Share of trials that make l, in (0, 1), at most 25 of them; or
            a function from the number of trials to that of l. Defaults to
            `0.1`.
        prior_weight: Weight of the whole range against a trial, above 0.
            Defaults to `1.0`.
        **options: `seed`, `points`, `warm_start` and all else of
            `SearchOracle`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or there is nothing to
            search.

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
        """Returns the most promising point that has not been tried."""
        observations = self.observations()
        if sum(o.is_evaluated for o in observations) < self.n_startup_trials:
            return self.space.random(self._rng)
        tried, key = self._tried(), self.space.key
        return self.propose(
            self.space, observations, self._rng, lambda v: key(v) in tried
        )

    def propose(
        self,
        space: Space,
        observations: Sequence[Observation],
        rng: np.random.Generator,
        is_tried: Callable[[Values], bool],
        *,
        least: int = 1,
    ) -> Values:
        """Draws one point for given observations.

        Args:
            space: What to draw from.
            observations: What is known, oldest first, with their places.
            rng: Source of randomness.
            is_tried: Whether a point should not be drawn.
            least: Fewest points that make l, whatever `gamma` says.
                Defaults to `1`.

        Returns:
            The best candidate that has not been tried, or the best one.
        """
        ended = sum(o.is_evaluated for o in observations)
        best, rest = split(observations, max(self._best_of(ended), least))
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


def _places(side: Sequence[Observation], space: Space) -> np.ndarray:
    if not side:
        return np.empty((0, len(space.searchable)))
    return np.stack([observation.places for observation in side])


def _check_gamma(gamma: Any) -> Gamma:
    is_share = isinstance(gamma, float) and 0.0 < gamma < 1.0
    if not (callable(gamma) or is_share):
        raise ValueError(
            "Argument `gamma` must be a float in (0, 1) or a function from "
            "the number of trials to that of the best ones. "
            f"Received: gamma={gamma!r}"
        )
    return gamma
