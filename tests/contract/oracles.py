"""One row per public oracle: a small configuration and invalid values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras_tuner

from keras_netopt import registry, search

SHARED_BAD: dict[str, Any] = {
    "max_trials": 0,
    "seed": -1,
    "initial_points": 3,
    "defaults_first": "yes",
    "warm_start": 3,
}
# KerasTuner's own: checked, or taken, by its `Oracle`.
KERAS_TUNER = (
    "objective",
    "hyperparameters",
    "allow_new_entries",
    "tune_new_entries",
    "max_retries_per_trial",
    "max_consecutive_failed_trials",
    "options",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class OracleSetting:
    """One setting of an oracle.

    Args:
        component: The registry row, as in "search.TPEOracle".
        arguments: Own arguments that fit sixteen points.
        objective: What it optimizes.
        takes_trials: Whether `max_trials` is among its arguments.
        bad: A wrong value an argument of its own.
        needs: The package it needs, if any.
    """

    component: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    objective: Any = "val_loss"
    takes_trials: bool = True
    bad: Mapping[str, Any] = field(default_factory=dict)
    needs: str | None = None

    def __str__(self) -> str:
        return self.component

    @property
    def row(self) -> registry.Method:
        found = registry.get(self.component)
        assert found is not None
        return found

    def build(self, space: Any = None, **changed: Any) -> Any:
        """Makes the oracle; `space` is a `HyperParameters`."""
        arguments = {"seed": 0, "hyperparameters": space, **self.arguments}
        if self.takes_trials:
            arguments["max_trials"] = 30
        arguments = {**arguments, **changed}
        kind = getattr(search, self.row.short_name)
        return kind(objective=self.objective, **arguments)

    def all_bad(self) -> dict[str, Any]:
        """A wrong value of every argument that is not KerasTuner's."""
        shared = dict(SHARED_BAD)
        if not self.takes_trials:
            del shared["max_trials"]
        return {**shared, **self.bad}


def _by_seed(seed: int) -> Any:
    import optuna

    return optuna.samplers.RandomSampler(seed=seed)


Check = Callable[[Any], None]
ORACLES = (
    OracleSetting(component="search.RandomSearchOracle"),
    OracleSetting(component="search.GridSearchOracle", bad={"levels": 0}),
    OracleSetting(
        component="search.TPEOracle",
        arguments={"n_startup_trials": 3},
        bad={
            "multivariate": "no",
            "n_startup_trials": 0,
            "n_ei_candidates": 0,
            "gamma": 2.0,
            "prior_weight": 0.0,
        },
    ),
    OracleSetting(
        component="search.RegularizedEvolutionOracle",
        arguments={"population_size": 4, "sample_size": 2},
        bad={"population_size": 1, "sample_size": 0, "n_startup_trials": 0},
    ),
    OracleSetting(
        component="search.HyperbandOracle",
        arguments={"max_epochs": 9},
        takes_trials=False,
        bad={
            "max_epochs": 0,
            "factor": 1,
            "hyperband_iterations": 0,
            "sampler": "tpe",
            "random_fraction": 2.0,
        },
    ),
    OracleSetting(
        component="search.NSGA2Oracle",
        arguments={"population_size": 4},
        objective=[
            keras_tuner.Objective("val_loss", "min"),
            keras_tuner.Objective("cost", "min"),
        ],
        bad={
            "population_size": 1,
            "crossover_prob": 2.0,
            "mutation_prob": -1.0,
            "metric_bounds": {"cost": "low"},
        },
    ),
    OracleSetting(
        component="search.OptunaOracle",
        arguments={"sampler": _by_seed},
        bad={"sampler": "magic"},
        needs="optuna",
    ),
    OracleSetting(
        component="search.ZeroCostOracle",
        arguments={"pool": 5, "score": len},
        bad={"pool": 1, "proxies": "beauty", "samples": 1, "score": 3},
    ),
)
BY_COMPONENT = {setting.component: setting for setting in ORACLES}
