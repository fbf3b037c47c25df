"""What must hold for every oracle: seeds, exhaustion, conditions, kills."""

import shutil

import keras_tuner
import pytest
from search.oracle_tools import (
    ORACLES,
    assert_valid_nested,
    attach,
    bowl,
    cells,
    drive,
    goal,
    history,
    make,
    nested,
    resume,
    score_bowl,
    space,
    two_goals,
)

from keras_netopt import search
from keras_netopt.search.oracles import resumable_oracle
from keras_netopt.search.oracles.observations import STOPPED_METRIC

pytestmark = pytest.mark.no_backend
EVERY = pytest.mark.parametrize("name", ORACLES)


def points(tried):
    return [tuple(values.values()) for values in tried]


@EVERY
def test_sixteen_cells_are_tried_once_each(name, tmp_path):
    oracle = attach(make(name, cells(), 30), tmp_path)
    tried = points(drive(oracle, goal(name)))
    assert len(tried) == len(set(tried)) == 16
    assert oracle.create_trial("worker").status == "STOPPED"


@EVERY
def test_seed_zero_is_a_seed(name, tmp_path):
    def run(seed, folder):
        oracle = make(name, cells(8, 8), 12, seed)
        return drive(attach(oracle, tmp_path / folder), goal(name))

    first = run(0, "a")
    assert first == run(0, "b")
    if name != "GridSearchOracle":
        assert first != run(1, "c")


@EVERY
def test_conditions_hold_at_every_point(name, tmp_path):
    oracle = attach(make(name, nested(), 60), tmp_path)

    def objective(values):
        assert_valid_nested(values)
        score = values["size"] / 100 + (values["net"] == "mlp")
        if name == "NSGA2Oracle":
            return {"loss": score, "cost": -score}
        return score

    tried = drive(oracle, objective)
    assert len(tried) == 60
    if name != "GridSearchOracle":
        assert {values["net"] for values in tried} == {"mlp", "cnn"}


@EVERY
def test_defaults_then_points_come_first(name, tmp_path):
    given = [{"a": 2, "b": "b3"}, {"a": 3}]
    oracle = attach(make(name, cells(), 5, initial_points=given), tmp_path)
    assert points(drive(oracle, goal(name)))[:3] == [
        (0, "b0"),
        (2, "b3"),
        (3, "b0"),
    ]


@EVERY
def test_points_come_first_without_the_defaults(name, tmp_path):
    oracle = make(
        name, cells(), 5, initial_points=[{"a": 1}], defaults_first=False
    )
    attach(oracle, tmp_path)
    assert points(drive(oracle, goal(name)))[0] == (1, "b0")


@EVERY
def test_rejected_points_are_not_suggested_again(name, tmp_path):
    """As a tuner does that checks each suggestion before it is a trial."""
    oracle = attach(make(name, cells(), 30), tmp_path)
    populate, refused = oracle.populate_space, []

    def populate_feasible(trial_id):
        for _ in range(100):
            found = populate(trial_id)
            values = found.get("values", {})
            if found["status"] != "RUNNING" or values["b"] != "b2":
                return found
            refused.append(tuple(values.values()))
            oracle.reject(values, "too large")
        raise AssertionError("rejected points come again")

    oracle.populate_space = populate_feasible
    tried = points(drive(oracle, goal(name)))
    assert len(tried) == len(set(tried)) == 12
    assert len(refused) == len(set(refused)) == 4
    assert oracle.rejections == {"too large": 4}
    again = resume(make(name, cells(), 30), tmp_path)
    assert again.rejections == {"too large": 4}
    assert again.create_trial("worker").status == "STOPPED"


def make_any(name, hyperparameters, **options):
    """Also Hyperband and Optuna, which `ORACLES` does not hold."""
    if name == "HyperbandOracle":
        return search.HyperbandOracle(
            "val_loss", 3, seed=0, hyperparameters=hyperparameters, **options
        )
    if name == "OptunaOracle":
        pytest.importorskip("optuna")
        options["sampler"] = lambda seed: None
        return search.OptunaOracle(
            "val_loss", 3, seed=0, hyperparameters=hyperparameters, **options
        )
    return make(name, hyperparameters, 3, **options)


ALL = pytest.mark.parametrize(
    "name", [*ORACLES, "HyperbandOracle", "OptunaOracle"]
)


@ALL
@pytest.mark.parametrize("hp", [{}, {"a": ("Fixed", 3)}, {"a": ("Int", 2, 2)}])
@pytest.mark.parametrize("tune_new_entries", [True, False])
def test_a_space_with_nothing_to_search_is_one_trial(
    name, hp, tune_new_entries, tmp_path
):
    oracle = make_any(name, space(**hp), tune_new_entries=tune_new_entries)
    attach(oracle, tmp_path)

    def objective(values):
        names = {"loss": 1.0, "cost": 2.0, "val_loss": 1.0}
        return names if name == "NSGA2Oracle" else 1.0

    tried = drive(oracle, objective)
    new = [values for values in tried if not values.get("tuner/round")]
    assert [values.get("a") for values in new] == [hp["a"][1] if hp else None]
    # Hyperband trains its only configuration up to `max_epochs`.
    rounds = 2 if name == "HyperbandOracle" else 1
    assert len(tried) == rounds
    assert oracle.create_trial("worker").status == "STOPPED"


@ALL
@pytest.mark.parametrize(
    "given", [{"rate": 0.1}, "rate", ["rate"], keras_tuner.HyperParameters]
)
def test_hyperparameters_of_a_wrong_type_are_refused(name, given):
    message = "`hyperparameters` must be a `keras_tuner.HyperParameters`"
    with pytest.raises(TypeError, match=message) as error:
        make_any(name, given)
    assert f"Received: hyperparameters={given!r}" in str(error.value)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def kill_at(monkeypatch, write, moment):
    """Ends the process at a write: before it, or between its two steps."""
    count = [0]
    whole = resumable_oracle.write_text

    def killing(path, text, **options):
        count[0] += 1
        if count[0] == write:
            if moment == "between":
                whole(f"{path}.partial", text)
            raise Killed
        whole(path, text, **options)

    monkeypatch.setattr(resumable_oracle, "write_text", killing)
    return count


@pytest.mark.parametrize(
    "name", [*ORACLES, "HyperbandOracle", "HyperbandOracle-TPE"]
)
def test_a_kill_at_any_write_changes_nothing(name, tmp_path, monkeypatch):
    """Trials as if uninterrupted, none lost, none twice."""

    def build():
        if name.startswith("HyperbandOracle"):
            sampler = None
            if "TPE" in name:
                sampler = search.TPEOracle(n_startup_trials=2)
            return search.HyperbandOracle(
                "val_loss",
                2,
                factor=2,
                seed=0,
                hyperparameters=bowl(),
                sampler=sampler,
                random_fraction=0.2,
            )
        return make(name, bowl(), 6, 3)

    evaluated = []

    def objective(values):
        evaluated.append(values)
        return (
            two_goals(values) if name == "NSGA2Oracle" else score_bowl(values)
        )

    with monkeypatch.context() as patch:
        count = kill_at(patch, -1, "before")
        whole = attach(build(), tmp_path / "whole")
        drive(whole, objective, epochs=2)
    expected = history(whole)
    assert len({trial[0] for trial in expected}) == len(expected) >= 5

    # Two writes begin a trial, two end it, and each epoch is one. What is
    # killed between begin and end is evaluated again.
    written, between = 0, set()
    for _, values, _ in expected:
        epochs = min(2, values.get("tuner/epochs", 2))
        between.update(range(written + 3, written + epochs + 4))
        written += epochs + 4
    assert count[0] == written
    writes = range(1, count[0] + 1)
    if name != "HyperbandOracle":  # In trials 1 and 4.
        writes = [*range(1, 8), *range(19, 26)]
    moments = [(i, "before") for i in writes]
    for write, moment in [*moments, (5, "between"), (7, "between")]:
        folder = tmp_path / "killed"
        evaluated.clear()
        shutil.rmtree(folder, ignore_errors=True)
        with monkeypatch.context() as patch:
            kill_at(patch, write, moment)
            with pytest.raises(Killed):
                drive(attach(build(), folder), objective, epochs=2)
        resumed = resume(build(), folder)
        drive(resumed, objective, epochs=2)
        assert history(resumed) == expected, (write, moment)
        again = write in between
        assert len(evaluated) == len(expected) + again, (write, moment)
        assert sorted(resumed.end_order) == sorted(whole.end_order)
        for trial in resumed.trials.values():
            for metric in trial.metrics.metrics.values():
                assert all(len(o.value) == 1 for o in metric.get_history())


@EVERY
def test_nan_scores_are_the_worst_and_end_nothing(name, tmp_path):
    oracle = attach(make(name, cells(), 30), tmp_path)

    def objective(values):
        found = goal(name)(values)
        if values["a"] == 0:
            return (
                dict.fromkeys(found, float("nan"))
                if (isinstance(found, dict))
                else float("nan")
            )
        return found

    assert len(drive(oracle, objective)) == 16
    statuses = {trial.status for trial in oracle.trials.values()}
    assert statuses == {"COMPLETED"}
    best = oracle.get_best_trials(16)
    assert [t.hyperparameters.values["a"] for t in best[-4:]] == [0] * 4


@EVERY
def test_a_space_that_grows_is_searched_whole(name, tmp_path):
    """Hyperparameters that only a build asks for."""
    oracle = make(name, None, 40)
    attach(oracle, tmp_path)
    tried = []
    while (trial := oracle.create_trial("worker")).status == "RUNNING":
        hp = trial.hyperparameters
        a = hp.Choice("a", [0, 1, 2])
        if a == 2:  # Not declared as a condition.
            hp.Choice("b", ["b0", "b1"])
        tried.append(tuple(hp.values.values()))
        metrics = {"val_loss": float(a), "loss": float(a), "cost": -float(a)}
        if name != "NSGA2Oracle":
            metrics = {"val_loss": float(a)}
        oracle.update_trial(trial.trial_id, metrics)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert tried[0] == (0,)
    assert len(set(tried)) == len(tried)
    assert {values[0] for values in tried} == {0, 1, 2}
    assert {(2, "b0"), (2, "b1")} <= set(tried)


@EVERY
def test_two_workers_share_no_point(name, tmp_path):
    oracle = attach(make(name, cells(), 30), tmp_path)
    tried, running = [], {}
    while True:
        for worker in ("one", "two", "three"):
            trial = oracle.create_trial(worker)
            if trial.status == "RUNNING":
                running[worker] = trial
                tried.append(tuple(trial.hyperparameters.values.values()))
        if not running:
            break
        for worker in list(running):
            trial = running.pop(worker)
            found = goal(name)(trial.hyperparameters.values)
            named = found if isinstance(found, dict) else {"val_loss": found}
            oracle.update_trial(trial.trial_id, named)
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
    assert len(tried) == len(set(tried)) == 16


def test_stopped_trials_stand_between_finished_and_failed(tmp_path):
    oracle = attach(
        make("TPEOracle", space(x=("Choice", [0, 1, 2, 3])), 4), tmp_path
    )
    for score, epochs, status in (
        (5.0, None, "COMPLETED"),
        (1.0, 2, "COMPLETED"),
        (3.0, 4, "COMPLETED"),
        (0.0, None, "FAILED"),
    ):
        trial = oracle.create_trial("worker")
        oracle.update_trial(trial.trial_id, {"val_loss": score})
        if epochs:
            more = {"val_loss": score, STOPPED_METRIC: epochs}
            oracle.update_trial(trial.trial_id, more, step=1)
        trial.status = status
        oracle.end_trial(trial)

    seen = oracle.observations()
    assert [o.state for o in seen] == [
        "finished",
        "stopped",
        "stopped",
        "infeasible",
    ]
    ranked = sorted(seen, key=lambda o: o.rank)
    assert [seen.index(o) for o in ranked] == [0, 2, 1, 3]
