"""Regularized evolution: the oldest dies, the best of a few has a child."""

from typing import Any

from keras_netopt.checks import check_integer
from keras_netopt.search.oracles.base import SearchOracle
from keras_netopt.search.space import Values


class RegularizedEvolution(SearchOracle):
    """Changes one value of the best of some recent points at a time.

    The population is the newest `population_size` trials; age, not score,
    decides who leaves. Cheap, robust against noise, at home in conditional
    and categorical spaces.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import RegularizedEvolution
    >>> oracle = RegularizedEvolution("val_accuracy", 60, seed=1)
    >>> oracle.population_size, oracle.sample_size
    (16, 5)

    Args:
        objective: As in `SearchOracle`.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        population_size: Trials that can have children, at least 2; the first
            so many are random. Defaults to `None`: 100 for searches of 400
            trials and more, else 16.
        sample_size: How many of them the parent is the best of, at least 1.
            Defaults to `None`: 25 for searches of 400 trials and more, else
            5, and never more than the population.
        **options: `seed`, `points`, `warm_start` (members of the first
            population) and all else of `SearchOracle`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or there is nothing to
            search.

    Reference:
        Real et al. 2018, *Regularized Evolution for Image Classifier
        Architecture Search*, arXiv 1802.01548; its symbols are P and S. How
        numbers mutate is ours.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        population_size: int | None = None,
        sample_size: int | None = None,
        **options: Any,
    ) -> None:
        is_long = max_trials is None or max_trials >= 400
        if population_size is None:
            population_size = 100 if is_long else 16
        self.population_size = check_integer(
            population_size, "population_size", minimum=2
        )
        if sample_size is None:
            sample_size = min(25 if is_long else 5, self.population_size)
        self.sample_size = check_integer(sample_size, "sample_size", minimum=1)
        if self.sample_size > self.population_size:
            raise ValueError(
                "Argument `sample_size` must be at most `population_size`. "
                f"Received: sample_size={sample_size}, "
                f"population_size={population_size}"
            )
        super().__init__(objective, max_trials, **options)

    def suggest(self, trial_id: str) -> Values | None:
        """Returns a child, or a random point of the first population."""
        started = len(self.warm_start) + len(self.start_order)
        members = self.evaluated()
        if started < self.population_size or not members:
            return self.space.random(self._rng)
        population = members[-self.population_size :]
        size = min(self.sample_size, len(population))
        chosen = self._rng.choice(len(population), size, replace=False)
        parent = min((population[i] for i in chosen), key=lambda o: o.rank)
        return self.space.mutate(self.space.adopt(parent.values), self._rng)
