"""What ends a search early, and costs that are bounded."""

import functools
import json
import math

import keras
import keras_tuner
import pytest
from search import toys
from search.toys import curves

from keras_netopt import search
from keras_netopt.search.constraints import Constraint
from keras_netopt.warnings import NoEffectWarning


@functools.cache
def dense(units):
    """A model of two parameters and one MAC per unit."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(units)])
    model.compile("sgd", "mse")
    return model


class Sized(keras_tuner.HyperModel):
    """The larger the better; models are shared, for nothing trains them."""

    def __init__(self):
        super().__init__()
        self.trained = []

    def build(self, hp):
        return dense(hp.Int("units", 1, 20))

    def fit(self, hp, model, x, y, callbacks, **kwargs):
        self.trained.append(model.count_params())
        logs = {"val_loss": 1 / hp.get("units")}
        return toys.train(model, lambda _: logs, callbacks)


class Unbuilt(Sized):
    """Models that are built by their first batch."""

    def build(self, hp):
        super().build(hp)
        return keras.Sequential([keras.layers.Dense(1)])

    def fit(self, hp, model, x, y, callbacks, **kwargs):
        model.build((None, 1))
        return super().fit(hp, model, x, y, callbacks, **kwargs)


def test_no_model_that_breaks_a_constraint_is_trained(run):
    found = run(
        Sized(),
        toys.random_oracle(trials=5),
        epochs=1,
        constraints=[search.MaxParams(17), search.MaxMACs(7)],
    )
    trained = found.hypermodel.trained
    trials = found.oracle.trials.values()
    assert len(trained) == 5 and max(trained) <= 14
    assert {trial.status for trial in trials} == {"COMPLETED"}
    kept = [trial.metrics.get_last_value("params") for trial in trials]
    assert kept == trained
    assert all(trial.metrics.get_last_value("macs") <= 7 for trial in trials)
    assert sum(found.checker.rejected.values()) > 5


@pytest.mark.parametrize("cost", ["macs", "params", "bytes"])
def test_costs_of_the_model_are_objectives(run, cost):
    found = run(
        Sized(), search.NSGA2Oracle(["val_loss", cost], 3, seed=2), epochs=1
    )
    assert not found.checker.rejected
    front = found.oracle.pareto_front()
    every = list(found.oracle.trials.values())
    costs = [t.metrics.get_last_value(cost) for t in every]
    units = [t.hyperparameters.get("units") for t in every]
    # A kernel and a bias of one input, 4 bytes each.
    each = {"macs": 1, "params": 2, "bytes": 8}[cost]
    assert costs == [each * n for n in units]
    assert every[costs.index(min(costs))] in front
    assert found.oracle.get_best_trials()[0] in front


def test_a_cost_that_the_training_reports_is_the_one_that_counts(run):
    class Reporting(Sized):
        def fit(self, hp, model, x, y, callbacks, **kwargs):
            logs = {"val_loss": 1 / hp.get("units"), "macs": -1.0}
            return toys.train(model, lambda _: logs, callbacks)

    oracle = search.NSGA2Oracle(["val_loss", "macs"], 2, seed=2)
    found = run(Reporting(), oracle, epochs=1)
    # With equal costs the front is the best one alone.
    assert found.oracle.pareto_front() == found.oracle.get_best_trials(1)


def test_a_cost_of_a_model_that_is_not_built_is_named(run):
    oracle = search.NSGA2Oracle(["val_loss", "macs"], 2, seed=2)
    message = r"\['macs'\] are missing.*`build` returns built models"
    with pytest.raises(ValueError, match=message):
        run(Unbuilt(), oracle, epochs=1)
    oracle = search.NSGA2Oracle(["macs", "val_loss"], 2, seed=2)
    with pytest.raises(ValueError, match="List 'macs' behind a metric"):
        run(Sized(), oracle, epochs=1, project_name="first")


def test_costs_without_a_bound_are_an_objective(run):
    found = run(
        Sized(),
        search.NSGA2Oracle(
            [toys.lowest("val_loss"), toys.lowest("macs")], 5, seed=2
        ),
        epochs=1,
        constraints=search.MaxMACs(math.inf),
    )
    front = found.oracle.pareto_front()
    macs = {t.trial_id: t.metrics.get_last_value("macs") for t in front}
    every = found.oracle.trials.values()
    least = min(every, key=lambda t: t.metrics.get_last_value("macs"))
    assert least.trial_id in macs
    assert found.oracle.get_best_trials()[0].trial_id in macs


def test_constraints_that_nothing_keeps_tell_the_nearest(run):
    with pytest.raises(
        ValueError,
        match=r"100 with params above 1; nearest: \{'units': \d+\} \(params=",
    ):
        run(Sized(), constraints=search.MaxParams(1))


def test_the_reasons_are_in_the_folder(run, tmp_path):
    with pytest.raises(ValueError, match="nearest"):
        run(Sized(), constraints=search.MaxParams(1))
    state = json.loads((tmp_path / "p/oracle.json").read_text())
    found = state["netopt_search"]
    assert found["rejected"] == {"params above 1": 100}
    values, costs = found["nearest"]
    assert costs == {"params": 2.0 * values["units"]}
    assert "no candidate meets the constraints" in found["end_reason"]
    assert "of 1)" in found["end_reason"]
    assert found["end_reason"] in str(search.leaderboard(tmp_path / "p"))


def test_a_small_space_without_a_candidate_tells_the_nearest(run):
    """Also when the search is started again, with every point rejected."""
    nearest = r"20 with params above 1; nearest: \{'units': 1\} \(params=2 of 1"
    oracle = functools.partial(search.TPEOracle, "val_loss", 5, seed=0)
    for _ in range(2):
        with pytest.raises(ValueError, match=nearest):
            run(Sized(), oracle(), constraints=search.MaxParams(1))


def test_a_small_space_ends_when_its_feasible_points_are_trained(run):
    with pytest.warns(NoEffectWarning, match="no other candidate.*17 with"):
        found = run(
            Sized(),
            search.RegularizedEvolutionOracle("val_loss", 30, seed=0),
            epochs=1,
            constraints=search.MaxParams(6),
        )
    assert sorted(found.hypermodel.trained) == [2, 4, 6]


def test_a_search_that_runs_out_of_candidates_says_so(run):
    class Once(Constraint):
        name = "built"

        def measure(self, model):
            seen.append(1)
            return len(seen)

    def build(hp):
        hp.Float("rate", 0.0, 1.0)
        return model

    seen, model = [], toys.tiny(None)
    with pytest.warns(NoEffectWarning, match="100 with built above 1"):
        found = run(build, constraints=[Once(1)])
    assert len(found.oracle.trials) == 1


def test_a_space_that_is_exhausted_is_the_reason(tuner, tmp_path, capsys):
    reason = "the space holds no other configuration"
    for trials, ends_early in ((30, True), (20, False)):
        made = tuner(Sized(), search.RandomSearchOracle("val_loss", trials))
        made.search(toys.X, toys.Y)
        assert len(made.oracle.trials) == 20
        assert (reason in capsys.readouterr().out) == ends_early
    tuner(Sized(), search.RandomSearchOracle("val_loss", 30)).search(
        toys.X, toys.Y, verbose=0
    )
    assert reason in str(search.leaderboard(tmp_path / "p"))
    hyperband = search.HyperbandOracle(toys.lowest("val_loss"), 2, factor=2)
    tuner(Sized(), hyperband, project_name="h").search(toys.X, toys.Y)
    assert "early" not in capsys.readouterr().out


def test_patience_and_time_end_a_search(run, tmp_path):
    found = run(*curves(20), epochs=1, patience=3)
    scores = [
        found.oracle.trials[name].score for name in found.oracle.end_order
    ]
    assert len(scores) < 20
    assert scores.index(min(scores)) == len(scores) - 4
    assert "no better trial" in found.limits.reason
    assert found.limits.reason in str(search.leaderboard(tmp_path / "p"))
    # Started again it has nothing to do, and more time changes that.
    late = run(*curves(20), epochs=1, max_time=1e-9, project_name="late")
    assert not late.oracle.trials
    board = str(search.leaderboard(tmp_path / "late"))
    assert "`max_time` of 1e-09 s is over" in board
    more = run(*curves(3), epochs=1, max_time=1e9, project_name="late")
    assert len(more.oracle.trials) == 3
    assert "max_time" not in str(search.leaderboard(tmp_path / "late"))


@pytest.mark.slow
def test_latency_is_measured_on_the_file():
    model = Sized().build(keras_tuner.HyperParameters())
    assert 0.0 < search.MaxLatency(1.0).measure(model) < 1000.0
