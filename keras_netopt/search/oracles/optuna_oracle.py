"""Optuna's samplers: Gaussian process, CMA-ES and others."""

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_netopt.search.oracles.observations import (
    RUNNING,
    STOPPED,
    Observation,
)
from keras_netopt.search.oracles.search_oracle import SearchOracle
from keras_netopt.search.search_dimension import SearchDimension
from keras_netopt.search.search_space import Values

# By name: the class in `optuna.samplers`, and the packages it needs.
SAMPLERS = {
    "gp": ("GPSampler", ("scipy", "torch")),
    "cmaes": ("CmaEsSampler", ("cmaes",)),
}


class OptunaOracle(SearchOracle):
    """Suggests points with a sampler of Optuna.

    "gp" is a Gaussian process: for few, expensive trials; a suggestion takes
    about half a second. "cmaes" adapts the covariance of a population: for
    many trials of numeric hyperparameters without conditions. The sampler is
    created for each trial, with a seed of the oracle and all trials so far,
    so that a search resumes exactly.

    Example:

    >>> import optuna
    >>> from keras_netopt.search import OptunaOracle
    >>> oracle = OptunaOracle(
    ...     "val_loss",
    ...     30,
    ...     sampler=lambda seed: optuna.samplers.QMCSampler(
    ...         seed=seed, scramble=True
    ...     ),
    ... )  # doctest: +SKIP

    Args:
        objective: As in `SearchOracle`.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        sampler: "gp", "cmaes", or a function from a seed to a sampler of
            Optuna. Defaults to `"gp"`.
        **options: Other arguments of `SearchOracle`.

    Raises:
        ImportError: If Optuna or a package of its sampler is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Akiba et al. 2019, *Optuna*, arXiv 1907.10902; Hansen 2016, *The CMA
        Evolution Strategy: A Tutorial*, arXiv 1604.00772.
    """

    # A Gaussian process would repeat itself.
    attempts = 2

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        sampler: str | Callable[[int], Any] = "gp",
        **options: Any,
    ) -> None:
        is_name = isinstance(sampler, str) and sampler in SAMPLERS
        if not callable(sampler) and not is_name:
            raise ValueError(
                f"Argument `sampler` must be one of {sorted(SAMPLERS)} or a "
                "function from a seed to a sampler of Optuna. "
                f"Received: sampler={sampler!r}"
            )
        self.sampler = sampler
        self._optuna = _import("optuna")
        for name in () if callable(sampler) else SAMPLERS[sampler][1]:
            _import(name)
        # Optuna's system attributes of a trial, by its id.
        self._system_attrs: dict[str, dict[str, Any]] = {}
        super().__init__(objective, max_trials, **options)

    def suggest(self, trial_id: str) -> Values | None:
        """Returns the point that the sampler suggests."""
        seed = int(self._rng.integers(2**31 - 1))
        with _silence(self._optuna):
            study = self._optuna.create_study(
                sampler=self._create_sampler(seed)
            )
            study.add_trials(list(self._history()))
            trial = study.ask()
            values = self.space.fill(lambda d: self._suggest_value(trial, d))
            self._system_attrs[trial_id] = study.trials[-1].system_attrs
        return values

    def get_state(self) -> dict[str, Any]:
        """Returns the JSON-safe state."""
        return {**super().get_state(), "system_attrs": self._system_attrs}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a state of `get_state`."""
        super().set_state(state)
        self._system_attrs = state["system_attrs"]

    def _create_sampler(self, seed: int) -> Any:
        if callable(self.sampler):
            return self.sampler(seed)
        name = SAMPLERS[self.sampler][0]
        return getattr(self._optuna.samplers, name)(seed=seed)

    def _suggest_value(self, trial: Any, dimension: SearchDimension) -> Any:
        size, name = dimension.size, self._name(dimension)
        if size == 1:
            return dimension.value(0.5)
        if dimension.domain.kind == "categorical":
            index = trial.suggest_categorical(name, list(range(size or 1)))
        elif dimension.domain.kind == "ordered":
            index = trial.suggest_int(name, 0, dimension.domain.size - 1)
        else:
            return dimension.value(trial.suggest_float(name, 0.0, 1.0))
        return dimension.value(float(dimension.domain.center(index)))

    def _history(self) -> Iterator[Any]:
        """All observations as Optuna's trials."""
        every = self.observations()
        names = iter(self.start_order)
        finite = [o.score for o in every if math.isfinite(o.score)]
        worst = max(finite, default=None)
        for i, observation in enumerate(every):
            is_trial = i >= len(self.warm_start) and (
                observation.state != "rejected"
            )
            attrs = self._system_attrs.get(next(names), {}) if is_trial else {}
            yield self._frozen(observation, worst, attrs)

    def _frozen(
        self, observation: Observation, worst: float | None, attrs: Any
    ) -> Any:
        states = self._optuna.trial.TrialState
        score: float | None = observation.score
        if score is None or not math.isfinite(score):
            score = worst
        state, steps = states.COMPLETE, {}
        if observation.state == RUNNING:
            state, score = states.RUNNING, None
        elif score is None:
            state = states.FAIL
        elif observation.state == STOPPED:
            state, steps = states.PRUNED, {int(observation.epochs): score}
        ranges = self._ranges(observation)
        return self._optuna.trial.create_trial(
            state=state,
            value=score,
            params={name: param for name, (_, param) in ranges.items()},
            distributions={name: kind for name, (kind, _) in ranges.items()},
            system_attrs=attrs,
            intermediate_values=steps,
        )

    def _ranges(self, observation: Observation) -> dict[str, Any]:
        """Distribution and value by name, of the active dimensions."""
        kinds = self._optuna.distributions
        found: dict[str, Any] = {}
        places: Sequence[float] = observation.places
        for dimension, place in zip(self.space.searchable, places, strict=True):
            if math.isnan(place):
                continue
            domain, name = dimension.domain, self._name(dimension)
            if domain.kind == "continuous":
                found[name] = (kinds.FloatDistribution(0.0, 1.0), float(place))
                continue
            index = int(domain.bins(np.array([place]))[0])
            if domain.kind == "ordered":
                kind = kinds.IntDistribution(0, domain.size - 1)
            else:
                kind = kinds.CategoricalDistribution(list(range(domain.size)))
            found[name] = (kind, index)
        return found

    def _name(self, dimension: SearchDimension) -> str:
        return repr(dimension.key)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"OptunaOracle needs {name}. "
            'Remedy: pip install "keras-netopt[optuna]"'
        ) from error


@contextmanager
def _silence(optuna: Any) -> Iterator[None]:
    """Silences Optuna's message for every study."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
