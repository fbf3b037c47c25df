"""The base class: arguments, points, warm start, what is an error."""

import json
import shutil
import threading
import warnings

import keras_tuner
import pytest
from search.oracle_tools import (
    attach,
    bowl,
    cells,
    drive,
    finish,
    history,
    nested,
    resume,
    score_bowl,
)

from keras_netopt import search
from keras_netopt.search.oracles.observations import (
    Observation,
    split_observations,
)

pytestmark = pytest.mark.no_backend


def build(folder=None, kind=search.RandomSearchOracle, hp=None, **options):
    options = {"max_trials": 6, "seed": 0, **options}
    hp = cells() if hp is None else hp
    oracle = kind("val_loss", hyperparameters=hp, **options)
    return oracle if folder is None else attach(oracle, folder)


def score(values):
    return float(values["a"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seed": -1}, ValueError, "Argument `seed` must be an integer"),
        ({"seed": "one"}, TypeError, "Argument `seed` must be an integer"),
        ({"max_trials": 0}, ValueError, "Argument `max_trials` must be"),
        (
            {"initial_points": {"a": 1}},
            TypeError,
            "Argument `initial_points` must be a list",
        ),
        (
            {"initial_points": [3]},
            TypeError,
            "Argument `initial_points` must be a list",
        ),
        ({"defaults_first": 1}, TypeError, "Argument `defaults_first` must"),
    ],
)
def test_wrong_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message) as caught:
        build(**options)
    assert "Received: " in str(caught.value)


@pytest.mark.parametrize(
    "point", [{"c": 1}, {"a": 9}, {"b": "b9"}], ids=["name", "int", "text"]
)
def test_a_wrong_point_is_refused_when_the_space_is_known(point, tmp_path):
    oracle = build(tmp_path, initial_points=[{"a": 1}, point])
    with pytest.raises(
        ValueError, match="Argument `initial_points` must"
    ) as error:
        oracle.create_trial("worker")
    assert f"Received: initial_points={point!r}" in str(error.value)
    assert oracle.trials == {}
    with pytest.raises(ValueError, match="Argument `initial_points` must"):
        build(initial_points=[point], allow_new_entries=False)


def test_workers_wait_while_the_space_is_unknown(tmp_path):
    oracle = attach(search.RandomSearchOracle("val_loss", 5, seed=0), tmp_path)
    first = oracle.create_trial("one")
    assert (first.status, first.hyperparameters.values) == ("RUNNING", {})
    assert oracle.create_trial("two").status == "IDLE"
    first.hyperparameters.Int("n", 1, 9)
    finish(oracle, first, {"val_loss": 1.0})
    assert oracle.create_trial("two").hyperparameters.values["n"] != 1


def test_an_error_leaves_no_lock_behind(tmp_path):
    """KerasTuner's own lock would keep every other thread waiting."""
    oracle = build(tmp_path, initial_points=[{"c": 1}])
    with pytest.raises(ValueError, match="Argument `initial_points`"):
        oracle.create_trial("worker")
    oracle.initial_points = []
    found = []
    thread = threading.Thread(
        target=lambda: found.append(oracle.create_trial("worker")), daemon=True
    )
    thread.start()
    thread.join(20)
    assert [trial.status for trial in found] == ["RUNNING"]


def test_a_metric_that_is_never_reported(tmp_path):
    oracle = build(tmp_path)
    trial = oracle.create_trial("worker")
    with pytest.raises(ValueError, match="val_loss") as error:
        oracle.update_trial(trial.trial_id, {"loss": 1.0})
    assert "Received: metrics=['loss']" in str(error.value)


def test_without_a_seed_searches_differ():
    seeds = {build(seed=None).seed for _ in range(5)}
    assert len(seeds) > 1


@pytest.mark.parametrize("direction", ["min", "max"])
def test_warm_start_from_pairs_and_from_a_project(direction, tmp_path):
    objective = keras_tuner.Objective("score", direction)

    def make(**options):
        return search.TPEOracle(
            objective,
            20,
            seed=1,
            hyperparameters=bowl(),
            n_startup_trials=6,
            **options,
        )

    first = attach(make(), tmp_path / "first")
    sign = 1.0 if direction == "min" else -1.0
    drive(first, lambda values: sign * score_bowl(values), most=10)
    project = tmp_path / "first" / "project"
    pairs = [(values, value) for _, values, value in history(first)]

    warm = [make(warm_start=source) for source in (project, pairs)]
    scores = [[o.score for o in oracle.warm_start] for oracle in warm]
    assert (
        scores[0] == scores[1] == pytest.approx([v * sign for *_, v in pairs])
    )
    runs = []
    for i, oracle in enumerate(warm):
        attach(oracle, tmp_path / f"warm{i}")
        runs.append(
            drive(oracle, lambda values: sign * score_bowl(values), most=6)
        )
    assert runs[0] == runs[1]
    # No random trials any more, but the default.
    assert sum(score_bowl(values) < 0.6 for values in runs[0][1:]) >= 3

    resumed = resume(make(), tmp_path / "warm0")
    assert [o.score for o in resumed.warm_start] == scores[0]


def test_warm_start_of_a_similar_space_teaches_what_fits(tmp_path):
    oracle = build(
        kind=search.TPEOracle,
        warm_start=[({"a": 3, "c": 7}, 0.1), ({"b": "b1"}, 0.2)],
    )
    places = [o.places.tolist() for o in oracle.observations()]
    assert places[0][0] == 0.875 and str(places[0][1]) == "nan"
    assert str(places[1][0]) == "nan" and places[1][1] == 0.375


def test_wrong_warm_starts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="a folder with completed trials"):
        build(kind=search.TPEOracle, warm_start=str(tmp_path))
    with pytest.raises(ValueError, match="or a list of .values, score."):
        build(kind=search.TPEOracle, warm_start=[3])
    with pytest.raises(TypeError, match="Argument `warm_start` must be"):
        build(kind=search.TPEOracle, warm_start=3)
    for kind in (search.RandomSearchOracle, search.GridSearchOracle):
        with pytest.raises(ValueError, match="does not learn from scores"):
            build(kind=kind, warm_start=[({"a": 1}, 1.0)])


def test_half_written_trials_of_a_warm_start_are_left_out(tmp_path):
    first = build(tmp_path)
    drive(first, score, most=3)
    (tmp_path / "project" / "trial_1" / "trial.json").write_text('{"trial_')
    with pytest.warns(UserWarning, match="skips .*trial_1"):
        warm = build(kind=search.TPEOracle, warm_start=tmp_path / "project")
    assert len(warm.warm_start) == 2


def test_a_corrupt_trial_is_left_out_and_all_others_kept(tmp_path):
    oracle = build(tmp_path)
    drive(oracle, score, most=4)
    expected = history(oracle)
    (tmp_path / "project" / "trial_2" / "trial.json").write_text('{"trial_')
    with pytest.warns(UserWarning, match="Trial 2 is skipped"):
        resumed = resume(build(), tmp_path)
    kept = history(resumed)
    assert [kept[i] for i in (0, 1, 3)] == [expected[i] for i in (0, 1, 3)]
    assert resumed.trials["2"].status == "INVALID"
    drive(resumed, score)
    assert sorted(resumed.trials) == list("012345")
    assert len(resumed.get_best_trials(5)) == 5


def test_a_running_trial_whose_file_is_gone_ends(tmp_path):
    oracle = build(tmp_path)
    drive(oracle, score, most=1)
    oracle.create_trial("worker")
    (tmp_path / "project" / "trial_1" / "trial.json").unlink()
    with pytest.warns(UserWarning, match="Trial 1 is skipped"):
        resumed = resume(build(), tmp_path)
    drive(resumed, score)
    assert sorted(resumed.end_order) == list("012345")


def test_a_project_of_another_search_is_refused(tmp_path):
    drive(build(tmp_path), score, most=2)
    with pytest.raises(ValueError, match="belongs to another search") as error:
        resume(build(kind=search.TPEOracle), tmp_path)
    assert "`warm_start='" in str(error.value)
    with pytest.raises(ValueError, match="its space does not hold"):
        resume(build(hp=cells(5, 4)), tmp_path)
    path = tmp_path / "project" / "oracle.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "search": None}))
    folder = str(tmp_path / "project")
    for kind in (search.TPEOracle, search.RandomSearchOracle):
        with pytest.raises(ValueError, match="by an oracle of Keras") as error:
            resume(build(kind=kind), tmp_path)
        learns = kind is search.TPEOracle
        remedy = "pass `" if learns else "`search.TPE(..., "
        assert f"{remedy}warm_start={folder!r}" in str(error.value)
    path.write_text("{")
    with pytest.raises(ValueError, match="cannot be read") as error:
        resume(build(), tmp_path)
    assert str(error.value).endswith("oracle.json")


def test_a_search_can_be_prolonged(tmp_path):
    short = build(tmp_path / "short", max_trials=3)
    drive(short, score)
    longer = resume(build(max_trials=6), tmp_path / "short")
    drive(longer, score)
    whole = build(tmp_path / "whole", max_trials=6)
    drive(whole, score)
    assert history(longer) == history(whole)


def test_a_crashed_trial_is_retried_with_new_metrics(tmp_path):
    oracle = build(tmp_path, max_retries_per_trial=1)
    trial = oracle.create_trial("worker")
    oracle.update_trial(trial.trial_id, {"val_loss": 9.0}, step=0)
    trial.status = "INVALID"
    oracle.end_trial(trial)
    again = oracle.create_trial("worker")
    assert again.trial_id == trial.trial_id
    finish(oracle, again, {"val_loss": 1.0})
    assert oracle.trials["0"].score == 1.0


def test_a_retry_survives_a_kill(tmp_path):
    """The trial had failed once when its process died; it fails again."""
    oracle = build(tmp_path / "search", max_retries_per_trial=1)
    trial = oracle.create_trial("worker")
    trial.status = "INVALID"
    save = oracle.save
    oracle.save = lambda: None  # Killed between the two files.
    oracle.end_trial(trial)
    for name, write in (("one", lambda: None), ("both", save)):
        write()
        folder = shutil.copytree(tmp_path / "search", tmp_path / name)
        resumed = resume(build(max_retries_per_trial=1), folder)
        again = resumed.create_trial("worker")
        assert again.trial_id == "0"
        again.status = "INVALID"
        resumed.end_trial(again)
        assert resumed.create_trial("worker").trial_id == "1"


def test_an_interrupted_trial_forgets_its_metrics(tmp_path):
    """KerasTuner would average both runs."""
    oracle = build(tmp_path)
    trial = oracle.create_trial("worker")
    oracle.update_trial(trial.trial_id, {"val_loss": 9.0}, step=0)
    resumed = resume(build(), tmp_path)
    again = resumed.create_trial("worker")
    assert (again.trial_id, again.status) == ("0", "RUNNING")
    finish(resumed, again, {"val_loss": 1.0})
    assert resumed.trials["0"].score == 1.0


def test_nan_is_tried_again_as_long_as_retries_are_left(tmp_path):
    oracle = build(tmp_path, max_retries_per_trial=1, max_trials=1)
    finish(oracle, oracle.create_trial("worker"), {"val_loss": float("nan")})
    assert oracle.trials["0"].status == "INVALID"
    finish(oracle, oracle.create_trial("worker"), {"val_loss": float("nan")})
    assert oracle.trials["0"].status == "COMPLETED"
    assert oracle.trials["0"].score == float("inf")
    assert "NaN at every step" in oracle.trials["0"].message
    assert resume(build(), tmp_path).trials["0"].score == float("inf")


def test_split_puts_rejected_and_running_points_last():
    every = [
        Observation({"i": 0}, 3.0),
        Observation({"i": 1}, state="rejected"),
        Observation({"i": 2}, state="running"),
        Observation({"i": 3}, 9.0, "stopped", 2.0),
        Observation({"i": 4}, state="infeasible"),
        Observation({"i": 5}, 1.0),
        Observation({"i": 6}, 5.0, "stopped", 4.0),
    ]
    best, rest = split_observations(every, 3)
    assert [o.values["i"] for o in best] == [0, 5, 6]
    assert [o.values["i"] for o in rest] == [1, 2, 3, 4]
    assert [o.values["i"] for o in split_observations(every, 9)[0]] == [
        0,
        3,
        4,
        5,
        6,
    ]


class Bent(search.SearchOracle):
    def suggest(self, trial_id):
        return {"a": 2}


def test_one_method_makes_an_oracle(tmp_path):
    """What it leaves out is a default; what it repeats is drawn at random."""
    tried = drive(build(tmp_path, Bent, max_trials=None), score)
    assert tried[:2] == [{"a": 0, "b": "b0"}, {"a": 2, "b": "b0"}]
    assert len(tried) == 16


@pytest.mark.parametrize(
    "name",
    [
        "TPEOracle",
        "RandomSearchOracle",
        "GridSearchOracle",
        "RegularizedEvolutionOracle",
    ],
)
def test_a_stock_tuner_takes_any_oracle(name, tmp_path, capsys):
    """The script of KerasTuner's documentation, its oracle swapped."""

    class Parabola(keras_tuner.Tuner):
        def run_trial(self, trial, *args, **kwargs):
            hp = trial.hyperparameters
            x = hp.Float("x", min_value=-1.0, max_value=1.0)
            y = hp.Choice("y", [0, 1, 2])
            return x * x + x * y

    def tuner():
        oracle = getattr(search, name)(
            keras_tuner.Objective("default_objective", "min"), 8, seed=0
        )
        return Parabola(
            oracle=oracle, directory=str(tmp_path), project_name="stock"
        )

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "currentThread", DeprecationWarning)
        warnings.filterwarnings("ignore", "getName", DeprecationWarning)
        first = tuner()
        first.search()
        assert len(first.oracle.trials) == 8
        assert first.get_best_hyperparameters()[0].get("x") <= 0.5
        again = tuner()
        assert history(again.oracle) == history(first.oracle)
        again.search()
        assert len(again.oracle.trials) == 8
    assert "Trial 8 Complete" in capsys.readouterr().out


def test_names_under_two_parents_reach_the_build(tmp_path):
    """KerasTuner alone drops the value: `KeyError: 'size'`."""
    oracle = build(tmp_path, hp=nested(), max_trials=20)
    for _ in range(20):
        trial = oracle.create_trial("worker")
        hp = trial.hyperparameters
        if hp.Choice("net", ["mlp", "cnn"]) == "mlp":
            with hp.conditional_scope("net", ["mlp"]):
                assert hp.Int("size", 1, 4) <= 4
        else:
            with hp.conditional_scope("net", ["cnn"]):
                assert hp.Int("size", 100, 200, step=20) >= 100
        finish(oracle, trial, {"val_loss": 1.0})
