"""The searches that are compared: each is asked for 60 points in turn."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import keras_tuner
import numpy as np

from benchmarks.hpo.lookup import Lookup
from keras_netopt import search

TRIALS = 60
Tell = Callable[[float], None]
# What a search asks for: a point, how to tell its loss, CPU seconds.
Steps = Iterator[tuple[dict[str, Any], Tell, float]]


def grid(table: Lookup, seed: int) -> Steps:
    """A coarse grid that fits the budget, as somebody in a hurry makes it.

    Hyperparameters get one more value in turn, in random order, as long as
    the grid has at most 60 points; values are evenly spread, and one that
    stays alone is picked at random.
    """
    rng = np.random.default_rng(seed)
    names = rng.permutation(list(table.axes)).tolist()
    counts = dict.fromkeys(names, 1)
    grows = True
    while grows:
        grows = False
        for name in names:
            more = {**counts, name: counts[name] + 1}
            fits = np.prod(list(more.values())) <= TRIALS
            if fits and counts[name] < len(table.axes[name]):
                counts, grows = more, True
    space = keras_tuner.HyperParameters()
    for name, axis in table.axes.items():
        places = [int(rng.integers(len(axis)))]
        if counts[name] > 1:
            places = np.linspace(0, len(axis) - 1, counts[name]).round()
        space.Choice(name, [axis[int(place)] for place in places])
    return _ask(search.GridSearchOracle("val_loss", hyperparameters=space))


def ours(
    kind: str, trials: int = TRIALS, **options: Any
) -> Callable[[Lookup, int], Steps]:
    """One of our oracles."""

    def make(table: Lookup, seed: int) -> Steps:
        oracle = getattr(search, kind)(
            "val_loss",
            trials,
            seed=seed,
            hyperparameters=_space(table),
            defaults_first=False,
            **options,
        )
        return _ask(oracle)

    return make


def theirs(kind: str) -> Callable[[Lookup, int], Steps]:
    """One of KerasTuner's oracles.

    Its seed 0 is none, and each number drawn adds 1 to the seed: seeds next
    to each other draw the same numbers, so ours lie far apart.
    """

    def make(table: Lookup, seed: int) -> Steps:
        options = {"max_trials": TRIALS, "seed": 1 + 100_000 * seed}
        oracle = getattr(keras_tuner.oracles, kind)(
            objective="val_loss", hyperparameters=_space(table), **options
        )
        return _ask(oracle)

    return make


def optuna_tpe(**options: Any) -> Callable[[Lookup, int], Steps]:
    """Optuna's TPE, with ordered hyperparameters as integers."""

    def make(table: Lookup, seed: int) -> Steps:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=seed, **options)
        study = optuna.create_study(sampler=sampler)
        while True:
            start = time.process_time()
            trial = study.ask()
            point = {}
            for name, axis in table.axes.items():
                if isinstance(axis[0], str):
                    point[name] = trial.suggest_categorical(name, axis)
                else:
                    index = trial.suggest_int(name, 0, len(axis) - 1)
                    point[name] = axis[index]
            spent = time.process_time() - start
            yield point, lambda loss, t=trial: study.tell(t, loss), spent

    return make


def _space(table: Lookup) -> Any:
    space = keras_tuner.HyperParameters()
    for name, axis in table.axes.items():
        space.Choice(name, axis)
    return space


def _ask(oracle: Any) -> Steps:
    """Runs an oracle without a tuner and without files."""
    oracle.verbose = 0
    oracle.save = oracle._save_trial = lambda *trial: None
    while True:
        start = time.process_time()
        trial = oracle.create_trial("tuner0")
        spent = time.process_time() - start
        if trial.status != "RUNNING":
            return

        def tell(loss: float, trial: Any = trial) -> None:
            oracle.update_trial(trial.trial_id, {"val_loss": loss})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)

        yield dict(trial.hyperparameters.values), tell, spent


# By name: how it is made, and most seeds where it is slow.
ARMS: dict[str, tuple[Callable[[Lookup, int], Steps], int | None]] = {
    "grid": (grid, None),
    "random": (ours("RandomSearchOracle"), None),
    "tpe": (ours("TPEOracle"), None),
    "tpe each": (ours("TPEOracle", multivariate=False), None),
    "evolution": (ours("RegularizedEvolutionOracle"), None),
    "optuna": (optuna_tpe(), None),
    "optuna each": (optuna_tpe(multivariate=False), None),
    "kt random": (theirs("RandomSearchOracle"), None),
    "kt grid": (theirs("GridSearchOracle"), 1),
    "gp": (ours("OptunaOracle"), 20),
    "kt bayesian": (theirs("BayesianOptimizationOracle"), 6),
}
