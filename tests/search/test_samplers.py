"""Evolution and grids: what each does of its own; wrong arguments."""

import keras_tuner
import pytest
from search.functions import quick
from search.oracle_tools import attach, cells, drive, space

from keras_netopt import search

pytestmark = pytest.mark.no_backend


@pytest.mark.parametrize(
    ("kind", "options", "name"),
    [
        ("TPEOracle", {"multivariate": 1}, "multivariate"),
        ("TPEOracle", {"n_startup_trials": 0}, "n_startup_trials"),
        ("TPEOracle", {"n_ei_candidates": 0}, "n_ei_candidates"),
        ("TPEOracle", {"gamma": 1.0}, "gamma"),
        ("TPEOracle", {"prior_weight": 0.0}, "prior_weight"),
        ("GridSearchOracle", {"levels": 0}, "levels"),
        (
            "RegularizedEvolutionOracle",
            {"population_size": 1},
            "population_size",
        ),
        ("RegularizedEvolutionOracle", {"sample_size": 41}, "sample_size"),
    ],
)
def test_wrong_arguments_are_refused(kind, options, name):
    with pytest.raises((TypeError, ValueError)) as error:
        getattr(search, kind)("val_loss", 9, **options)
    assert str(error.value).startswith(f"Argument `{name}` must be")
    assert "Received: " in str(error.value)


def test_the_oldest_has_no_children():
    """The best point of all is forgotten once it is old."""
    oracle = search.RegularizedEvolutionOracle(
        "val_loss",
        None,
        seed=0,
        hyperparameters=space(x=("Float", 0.0, 1.0), y=("Int", 0, 9)),
        population_size=10,
        sample_size=10,
        initial_points=[{"x": 0.123}],
        defaults_first=False,
    )
    children = []

    def score(values):
        children.append(values["x"] == 0.123)
        if len(children) == 1:
            return 0.0
        return 2.0 if children[-1] else 1.0

    quick(oracle, score, 40)
    assert any(children[10:20])
    assert not any(children[20:])


def test_sizes_of_a_population_fit_each_other():
    def sizes(**options):
        made = search.RegularizedEvolutionOracle("val_loss", 60, **options)
        return made.n_startup_trials, made.population_size, made.sample_size

    assert sizes() == (10, 40, 20)
    assert sizes(population_size=3) == (3, 3, 1)
    assert sizes(population_size=8, n_startup_trials=9) == (9, 8, 4)


def test_evolution_mutates_after_its_random_trials():
    """Categories without any value in common are no child of one another."""
    names = [f"x{i}" for i in range(6)]
    oracle = search.RegularizedEvolutionOracle(
        "val_loss",
        30,
        seed=0,
        hyperparameters=space(**{n: ("Choice", list(range(9))) for n in names}),
        defaults_first=False,
        n_startup_trials=4,
    )
    tried = []

    def score(values):
        tried.append([values[name] for name in names])
        return float(sum(tried[-1]))

    quick(oracle, score, 30)
    nearest = [
        min(
            sum(a != b for a, b in zip(child, parent, strict=True))
            for parent in tried[:i]
        )
        for i, child in enumerate(tried)
        if i
    ]
    assert min(nearest[:3]) > 1
    assert set(nearest[3:]) == {1}


@pytest.mark.parametrize(
    "kind", ["RegularizedEvolutionOracle", "NSGA2Oracle", "TPEOracle"]
)
def test_a_space_smaller_than_the_population_is_tried_whole(kind, tmp_path):
    """Each point once, then the search ends."""
    options = {} if kind == "TPEOracle" else {"population_size": 50}
    hp = space(a=("Choice", [0, 1, 2]), b=("Boolean",))
    goals = [keras_tuner.Objective(n, "min") for n in ("val_loss", "cost")]
    oracle = getattr(search, kind)(
        goals if kind == "NSGA2Oracle" else goals[0],
        100,
        seed=0,
        hyperparameters=hp,
        **options,
    )
    tried = drive(
        attach(oracle, tmp_path),
        lambda v: {"val_loss": float(v["a"]), "cost": -float(v["a"])},
    )
    assert sorted((v["a"], v["b"]) for v in tried) == [
        (a, b) for a in (0, 1, 2) for b in (False, True)
    ]


def test_a_grid_is_walked_in_order(tmp_path):
    hp = space(
        rate=("Float", 1e-4, 1e-2, None, "log"), units=("Choice", [64, 16])
    )
    oracle = search.GridSearchOracle("val_loss", levels=3, hyperparameters=hp)
    tried = drive(attach(oracle, tmp_path), lambda values: values["rate"])
    assert [(round(v["rate"], 6), v["units"]) for v in tried] == [
        (rate, units) for rate in (1e-4, 1e-3, 1e-2) for units in (64, 16)
    ]


def test_a_grid_with_points_tries_each_once(tmp_path):
    oracle = search.GridSearchOracle(
        "val_loss",
        hyperparameters=cells(),
        initial_points=[{"a": 2, "b": "b1"}],
    )
    tried = drive(attach(oracle, tmp_path), lambda values: values["a"])
    tried = [tuple(values.values()) for values in tried]
    assert tried[:2] == [(0, "b0"), (2, "b1")]
    rest = [(a, f"b{b}") for a in range(4) for b in range(4)]
    assert tried[2:] == [one for one in rest if one not in tried[:2]]
