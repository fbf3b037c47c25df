"""Optuna's samplers as an oracle: Gaussian processes, CMA-ES and others."""

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_netopt.search.dimension import SearchDimension
from keras_netopt.search.oracles.base import SearchOracle
from keras_netopt.search.oracles.observations import (
    RUNNING,
    STOPPED,
    Observation,
)
from keras_netopt.search.space import Values

# By name: the class in `optuna.samplers`, and what it needs beside Optuna.
SAMPLERS = {
    "gp": ("GPSampler", ("scipy", "torch")),
    "cmaes": ("CmaEsSampler", ("cmaes",)),
}


class OptunaOracle(SearchOracle):
    """Draws points by a sampler of Optuna's.

    "gp" is a Gaussian process: strong where trials are few and expensive,
    half a second a point. "cmaes" adapts the covariance of a population: for
    many trials of numbers without conditions. The sampler is made anew for
    each trial, with a seed of ours and the trials so far, so a search resumes
    as with all our oracles.

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
        sampler: "gp", "cmaes", or a function from a seed to a sampler.
            Defaults to `"gp"`.
        **options: `seed`, `points`, `warm_start` and all else of
            `SearchOracle`.

    Raises:
        ImportError: If Optuna, or what its sampler needs, is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or there is nothing to
            search.

    Reference:
        Akiba et al. 2019, *Optuna*, arXiv 1907.10902; Hansen 2016, *The CMA
        Evolution Strategy: A Tutorial*, arXiv 1604.00772.
    """

    # A Gaussian process would say the same again.
    attempts = 2

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        sampler: str | Callable[[int], Any] = "gp",
        **options: Any,
    ) -> None:
        if not callable(sampler) and sampler not in SAMPLERS:
            raise ValueError(
                f"Argument `sampler` must be one of {sorted(SAMPLERS)} or a "
                "function from a seed to a sampler of Optuna's. "
                f"Received: sampler={sampler!r}"
            )
        self.sampler = sampler
        self._optuna = _import("optuna")
        for name in () if callable(sampler) else SAMPLERS[sampler][1]:
            _import(name)
        # What samplers note down with a trial, by its id.
        self._notes: dict[str, dict[str, Any]] = {}
        super().__init__(objective, max_trials, **options)

    def suggest(self, trial_id: str) -> Values | None:
        """Returns the point that the sampler asks for."""
        seed = int(self._rng.integers(2**31 - 1))
        with _quiet(self._optuna):
            study = self._optuna.create_study(sampler=self._make(seed))
            study.add_trials(list(self._history()))
            trial = study.ask()
            values = self.space.fill(lambda d: self._ask(trial, d))
            self._notes[trial_id] = study.trials[-1].system_attrs
        return values

    def get_state(self) -> dict[str, Any]:
        """Returns the state as JSON holds it."""
        return {**super().get_state(), "notes": self._notes}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes the state that `get_state` has returned."""
        super().set_state(state)
        self._notes = state["notes"]

    def _make(self, seed: int) -> Any:
        if callable(self.sampler):
            return self.sampler(seed)
        name = SAMPLERS[self.sampler][0]
        return getattr(self._optuna.samplers, name)(seed=seed)

    def _ask(self, trial: Any, dimension: SearchDimension) -> Any:
        size, name = dimension.size, self._name(dimension)
        if size == 1:
            return dimension.value(0.5)
        if dimension.axis.kind == "categorical":
            index = trial.suggest_categorical(name, list(range(size or 1)))
        elif dimension.axis.kind == "ordered":
            index = trial.suggest_int(name, 0, dimension.axis.size - 1)
        else:
            return dimension.value(trial.suggest_float(name, 0.0, 1.0))
        return dimension.value(float(dimension.axis.middle(index)))

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
            notes = self._notes.get(next(names), {}) if is_trial else {}
            yield self._frozen(observation, worst, notes)

    def _frozen(
        self, observation: Observation, worst: float | None, notes: Any
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
            system_attrs=notes,
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
            axis, name = dimension.axis, self._name(dimension)
            if axis.kind == "continuous":
                found[name] = (kinds.FloatDistribution(0.0, 1.0), float(place))
                continue
            index = int(axis.bins(np.array([place]))[0])
            if axis.kind == "ordered":
                kind = kinds.IntDistribution(0, axis.size - 1)
            else:
                kind = kinds.CategoricalDistribution(list(range(axis.size)))
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
def _quiet(optuna: Any) -> Iterator[None]:
    """Keeps Optuna from announcing every study."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
