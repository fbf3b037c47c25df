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
    >>> oracle.n_startup_trials, oracle.population_size, oracle.sample_size
    (10, 40, 20)

    Args:
        objective: As in `SearchOracle`.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        population_size: Number of newest trials that can be parents, at least
            2. Defaults to `40`.
        sample_size: Number of members from which the best is selected as
            parent, at least 1. Defaults to `None`: half of the population.
        n_startup_trials: Random trials at the start, the observations of
            `warm_start` included, at least 1. Defaults to `None`: 10, and at
            most the population.
        **options: Other arguments of `SearchOracle`; `warm_start` provides
            members of the first population.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Real et al. 2018, *Regularized Evolution for Image Classifier
        Architecture Search*, arXiv 1802.01548; its symbols are P and S. It
        starts with P random trials (`n_startup_trials=100,
        population_size=100, sample_size=25`); the defaults find better
        points within hundreds of trials. The mutation of numbers (a normal
        step of 0.1 of the range, uniform with probability 0.2) is not from
        the paper.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        population_size: int = 40,
        sample_size: int | None = None,
        n_startup_trials: int | None = None,
        **options: Any,
    ) -> None:
        self.population_size = check_integer(
            population_size, "population_size", minimum=2
        )
        if sample_size is None:
            sample_size = self.population_size // 2
        self.sample_size = check_integer(sample_size, "sample_size", minimum=1)
        if self.sample_size > self.population_size:
            raise ValueError(
                "Argument `sample_size` must be at most `population_size`. "
                f"Received: sample_size={sample_size}, "
                f"population_size={population_size}"
            )
        if n_startup_trials is None:
            n_startup_trials = min(10, self.population_size)
        self.n_startup_trials = check_integer(
            n_startup_trials, "n_startup_trials", minimum=1
        )
        super().__init__(objective, max_trials, **options)

    def suggest(self, trial_id: str) -> Values | None:
        """Returns a child, or a random point at the start."""
        started = len(self.warm_start) + len(self.start_order)
        members = self.evaluated()
        if started < self.n_startup_trials or not members:
            return self.space.random(self._rng)
        population = members[-self.population_size :]
        size = min(self.sample_size, len(population))
        chosen = self._rng.choice(len(population), size, replace=False)
        parent = min((population[i] for i in chosen), key=lambda o: o.rank)
        return self.space.mutate(self.space.adopt(parent.values), self._rng)
