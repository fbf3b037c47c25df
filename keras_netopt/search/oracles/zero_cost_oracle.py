"""Trains the candidates that score best before any training."""

from collections.abc import Callable, Mapping
from typing import Any

from keras_netopt.checks import check_integer
from keras_netopt.search.oracles.search_oracle import SearchOracle
from keras_netopt.search.search_space import Values
from keras_netopt.search.zero_cost_proxies.ranking import combine_scores
from keras_netopt.search.zero_cost_proxies.zero_cost import (
    ENSEMBLE,
    SAMPLES,
    check_proxies,
)

# Scores of the values of a candidate, or why it is infeasible.
Score = Callable[[Values], Mapping[str, float] | float | str]


class ZeroCostOracle(SearchOracle):
    """Draws a pool of random candidates and suggests the best by their scores.

    Scores cost no training: `search.ZeroCost` scores the built models by
    zero-cost proxies. Several scores are combined by the mean of their ranks
    in the pool. Infeasible candidates are dropped before the ranking. When
    the pool is used up, the next one is drawn.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import ZeroCostOracle
    >>> hp = keras_tuner.HyperParameters()
    >>> _ = hp.Int("units", 1, 64)
    >>> oracle = ZeroCostOracle(
    ...     "val_loss",
    ...     3,
    ...     pool=64,
    ...     score=lambda values: values["units"],
    ...     defaults_first=False,
    ...     hyperparameters=hp,
    ... )
    >>> oracle.populate_space("0")["values"]
    {'units': 64}

    Args:
        objective: As in `SearchOracle`.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        pool: Number of candidates that are drawn and scored at a time, at
            least 2. Defaults to `100`.
        proxies: As in `search.zero_cost`; several are combined by the mean
            of their ranks. Defaults to the ensemble of `search.zero_cost`.
        samples: Size of the batch that they see, at least 2. Defaults to
            `32`.
        score: Function of a dict of values that returns a number, a dict of
            numbers by name, higher is better, or a string: the reason why
            the candidate is infeasible. Defaults to `None`: `search.ZeroCost`
            scores the model by `proxies`.
        **options: Other arguments of `SearchOracle`, without `warm_start`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range; when the search begins,
            without a `score`.

    Reference:
        Abdelfattah et al. 2021, *Zero-Cost Proxies for Lightweight NAS*,
        arXiv 2101.08134.
    """

    unsupported = ("warm_start",)

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        pool: int = 100,
        proxies: Any = ENSEMBLE,
        samples: int = SAMPLES,
        score: Score | None = None,
        **options: Any,
    ) -> None:
        self.pool = check_integer(pool, "pool", minimum=2)
        self.proxies = check_proxies(proxies)
        self.samples = check_integer(samples, "samples", minimum=2)
        if score is not None and not callable(score):
            raise TypeError(
                "Argument `score` must be a function of a dict of values. "
                f"Received: score={score!r}"
            )
        self.score = score
        self._candidates: list[dict[str, Any]] = []
        super().__init__(objective, max_trials, **options)

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """The feasible candidates of the last pool, best first.

        Each has "values", "scores" by name, and "rank", the combined score.
        """
        return [dict(row) for row in self._candidates]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns status and values of the next trial; draws a pool first."""
        if self.space.searchable and self._next_candidate() is None:
            self._draw_pool()
        return super().populate_space(trial_id)

    def suggest(self, trial_id: str) -> Values | None:
        """Returns the best candidate that was not tried."""
        return self._next_candidate()

    def _next_candidate(self) -> Values | None:
        tried, space = self._tried(), self.space
        for row in self._candidates:
            values = space.complete(row["values"])
            if space.key(values) not in tried:
                return values
        return None

    def _draw_pool(self) -> None:
        """Draws, scores and ranks the next pool."""
        if self.score is None:
            raise ValueError(
                "Argument `score` must be given: without it use the tuner "
                "`search.ZeroCost(build, ...)`, which scores the models. "
                "Received: score=None"
            )
        rows: list[dict[str, Any]] = []
        drawn: list[Values] = []
        for _ in range(self.pool):
            values = self._draw(drawn)
            if values is None:
                break
            drawn.append(values)
            scores = self.score(dict(values))
            if isinstance(scores, str):
                self.reject(values, scores)
                continue
            if not isinstance(scores, Mapping):
                scores = {"score": scores}
            plain = {name: float(one) for name, one in scores.items()}
            rows.append({"values": values, "scores": plain})
        ranks = combine_scores([row["scores"] for row in rows])
        for row, rank in zip(rows, ranks, strict=True):
            row["rank"] = float(rank)
        # The sort is stable: equal candidates stay in the order of the draw.
        self._candidates = sorted(rows, key=lambda row: -row["rank"])

    def _draw(self, drawn: list[Values]) -> Values | None:
        """Returns a point that was neither tried nor drawn before."""
        space = self.space  # A score that builds a model may extend it.
        seen = set(self._tried())
        seen.update(space.key(values) for values in self._first())
        seen.update(space.key(space.complete(values)) for values in drawn)
        for _ in range(self.attempts):
            values = space.random(self._rng)
            if space.key(values) not in seen:
                return values
        return space.untried(seen, self._rng)

    def get_state(self) -> dict[str, Any]:
        """Returns the JSON-safe state."""
        return {**super().get_state(), "candidates": self._candidates}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a state of `get_state`."""
        super().set_state(state)
        self._candidates = list(state["candidates"])
