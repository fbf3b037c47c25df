"""NSGA-II: its front, its constraints and its objectives."""

import math
import statistics

import keras_tuner
import pytest
from search.oracle_tools import attach, cells, drive, finish, space

from keras_netopt import search
from keras_netopt.search.reports.pareto_front import pareto_front

pytestmark = pytest.mark.no_backend


def goals(values):
    """ZDT1 with three numbers."""
    x = [values[f"x{i}"] for i in range(3)]
    g = 1 + 9 * (x[1] + x[2]) / 2
    return {"a": x[0], "b": g * (1 - math.sqrt(x[0] / g)), "sum": sum(x)}


def nsga2(folder, seed=0, trials=120, **options):
    oracle = search.NSGA2Oracle(
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
    oracle = nsga2(tmp_path, metric_bounds={"sum": 1.0})
    assert oracle.pareto_front() == []
    tried = [goals(values) for values in drive(oracle, goals)]
    front = oracle.pareto_front()
    assert front
    assert all(goals(t.hyperparameters.values)["sum"] <= 1 for t in front)
    kept = [one["sum"] <= 1.0 for one in tried]
    assert statistics.mean(kept[-40:]) > statistics.mean(kept[:20]) + 0.2


def test_who_keeps_the_constraints_wins_the_tournament(tmp_path):
    oracle = search.NSGA2Oracle(
        ["val_loss", keras_tuner.Objective("macs", "min")],
        9,
        seed=0,
        population_size=2,
        crossover_prob=0.0,
        mutation_prob=0.0,
        metric_bounds={"macs": 5.0},
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
    oracle = search.NSGA2Oracle(objectives, 9, seed=0, hyperparameters=cells())
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


def test_a_metric_that_is_not_reported_raises(tmp_path):
    oracle = nsga2(tmp_path, metric_bounds={"sum": 1.0})
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
        (["val_loss", "watts"], {}, "objective"),
        (
            ["val_loss", "val_accuracy"],
            {"crossover_prob": 2.0},
            "crossover_prob",
        ),
        (
            ["val_loss", "val_accuracy"],
            {"mutation_prob": -1.0},
            "mutation_prob",
        ),
        (
            ["val_loss", "val_accuracy"],
            {"population_size": 1},
            "population_size",
        ),
        (
            ["val_loss", "val_accuracy"],
            {"metric_bounds": {"a": "b"}},
            "metric_bounds",
        ),
        (["val_loss", "val_accuracy"], {"warm_start": []}, "warm_start"),
    ],
)
def test_wrong_arguments_of_nsga2_are_refused(objective, options, name):
    with pytest.raises(ValueError) as error:
        search.NSGA2Oracle(objective, 9, **options)
    assert str(error.value).startswith(f"Argument `{name}` must")
    assert "Received: " in str(error.value)


def test_every_objective_is_written_with_its_direction(tmp_path):
    """A report reads the front from the files, without the oracle."""
    oracle = search.NSGA2Oracle(
        [keras_tuner.Objective(name, "max") for name in ("hits", "zeros")],
        max_trials=6,
        seed=0,
        hyperparameters=space(rate=("Float", 0.0, 1.0)),
    )
    attach(oracle, tmp_path)
    drive(oracle, lambda v: {"hits": 1 - v["rate"] ** 2, "zeros": v["rate"]})

    expected = [trial.trial_id for trial in oracle.pareto_front()]
    found = pareto_front(
        search.read_project(tmp_path / "project"), ("hits", "zeros")
    )
    assert len(expected) == 6
    assert [trial.trial_id for trial in found] == expected
