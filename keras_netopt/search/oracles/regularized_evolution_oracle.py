"""Regularized (aging) evolution."""

from typing import Any

from keras_netopt.checks import check_integer
from keras_netopt.search.oracles.search_oracle import SearchOracle
from keras_netopt.search.search_space import Values


class RegularizedEvolutionOracle(SearchOracle):
    """Regularized evolution: mutates the best of a sample of recent trials.

    The population is the newest `population_size` trials: members are removed
    by age. Each child differs from its parent in one hyperparameter. Cheap
    and robust to noise; suits conditional and categorical spaces.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import RegularizedEvolutionOracle
    >>> oracle = RegularizedEvolutionOracle("val_accuracy", 60, seed=1)
    >>> oracle.population_size, oracle.sample_size
    (16, 5)

    Args:
        objective: As in `SearchOracle`.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        population_size: Number of trials that can be parents, at least 2; as
            many trials are random at the start. Defaults to `None`: 100 for
            searches of 400 trials and more, else 16.
        sample_size: Number of members from which the best is selected as
            parent, at least 1. Defaults to `None`: 25 for searches of 400
            trials and more, else 5, and at most the population.
        **options: Other arguments of `SearchOracle`; `warm_start` provides
            members of the first population.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the space is
            empty.

    Reference:
        Real et al. 2018, *Regularized Evolution for Image Classifier
        Architecture Search*, arXiv 1802.01548; its symbols are P and S. The
        mutation of numbers (a normal step of 0.1 of the range, uniform with
        probability 0.2) is not from the paper.
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
