"""What ends a search early, and costs that are bounded."""

import math

import keras
import keras_tuner
import pytest
from search import toys
from search.toys import curves

from keras_netopt import search
from keras_netopt.search.constraints import Constraint
from keras_netopt.warnings import NoEffectWarning


def sized(hp):
    units = hp.Int("units", 1, 40)
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(units), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def test_no_model_that_breaks_a_constraint_is_trained(run):
    trained = []

    class Sized(keras_tuner.HyperModel):
        def build(self, hp):
            return sized(hp)

        def fit(self, hp, model, *args, **kwargs):
            trained.append(model.count_params())
            return model.fit(*args, **kwargs)

    found = run(
        Sized(),
        toys.random_oracle(trials=5),
        epochs=1,
        constraints=[search.MaxParams(31), search.MaxMACs(20)],
    )
    trials = found.oracle.trials.values()
    assert len(trained) == 5 and max(trained) <= 31
    assert {trial.status for trial in trials} == {"COMPLETED"}
    kept = [trial.metrics.get_last_value("params") for trial in trials]
    assert kept == trained
    assert all(trial.metrics.get_last_value("macs") <= 20 for trial in trials)
    assert sum(found.proxy.rejected.values()) > 5


def test_costs_without_a_bound_are_an_objective(run):
    found = run(
        sized,
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
        match=r"100 with params above 3; nearest: \{'units': \d+\} \(params=",
    ):
        run(sized, constraints=search.MaxParams(3))


def test_a_search_that_runs_out_of_candidates_says_so(run):
    class Once(Constraint):
        name = "built"

        def measure(self, model):
            seen.append(1)
            return len(seen)

    seen = []
    with pytest.warns(NoEffectWarning, match="100 with built above 1"):
        found = run(constraints=[Once(1)])
    assert len(found.oracle.trials) == 1


def test_patience_and_time_end_a_search(run):
    found = run(*curves(20), epochs=1, patience=3)
    scores = [
        found.oracle.trials[name].score for name in found.oracle.end_order
    ]
    assert len(scores) < 20
    assert scores.index(min(scores)) == len(scores) - 4
    assert "no better trial" in found.limits.reason
    # Started again it has nothing to do, and more time changes that.
    late = run(*curves(20), epochs=1, max_time=1e-9, project_name="late")
    assert not late.oracle.trials
    more = run(*curves(3), epochs=1, max_time=1e9, project_name="late")
    assert len(more.oracle.trials) == 3


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="LiteRT can be made there"
)
def test_latency_is_refused_where_it_cannot_be_measured(tuner):
    with pytest.raises(ValueError, match="needs the TensorFlow backend"):
        tuner(constraints=search.MaxLatency(1.0))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="LiteRT needs TensorFlow"
)
def test_latency_is_measured_on_the_file():
    model = sized(keras_tuner.HyperParameters())
    assert 0.0 < search.MaxLatency(1.0).measure(model) < 1000.0
