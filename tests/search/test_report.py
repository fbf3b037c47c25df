"""Projects of tuners are read, ranked and written, broken ones too."""

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import keras_netopt as netopt

pytestmark = pytest.mark.no_backend

PROJECTS = Path(__file__).parent / "projects"
STOCK = ("random", "hyperband", "bayesian", "grid")


@pytest.fixture
def copied(tmp_path):
    """A project that a test may damage."""
    target = tmp_path / "random"
    shutil.copytree(PROJECTS / "random", target)
    return target


def read_json(path):
    return json.loads(path.read_text())


def change(path, **changed):
    path.write_text(json.dumps({**read_json(path), **changed}))


def scores_in(folder):
    return {
        read_json(path)["trial_id"]: read_json(path)["score"]
        for path in folder.glob("trial_*/trial.json")
    }


@pytest.mark.parametrize("name", STOCK)
def test_projects_of_stock_tuners_are_read(name):
    """Every trial, its score and its place, as the files have them."""
    project = netopt.search.read_project(PROJECTS / name)

    assert project.unreadable == ()
    assert (project.objective, project.direction) == ("val_loss", "min")
    scores = scores_in(PROJECTS / name)
    assert {t.trial_id: t.score for t in project.trials} == scores
    started = read_json(PROJECTS / name / "oracle.json")["start_order"]
    assert [t.trial_id for t in project.trials] == started
    ranked = [t.score for t in project.ranked() if project.is_complete(t)]
    assert ranked == sorted(ranked)
    assert len(ranked) == {"hyperband": 6}.get(name, len(scores))
    known = {dimension.name for dimension in project.space}
    assert all(set(t.parameters) <= known for t in project.trials)


def test_a_metric_has_one_value_a_step():
    trial = netopt.search.read_project(PROJECTS / "random").trials[0]
    direction, history = trial.metrics["val_accuracy"]

    assert direction == "max"
    assert list(history) == [0, 1, 2, 3]
    assert trial.epochs == 4
    assert (
        trial.value("val_loss")
        == trial.score
        == min(trial.metrics["val_loss"][1].values())
    )


def test_lower_rungs_of_hyperband_have_no_rank():
    board = netopt.search.leaderboard(PROJECTS / "hyperband")
    lines = [line for line in str(board).splitlines() if "epochs" in line]

    assert "15 trials, 6 complete" in str(board)
    assert len(lines) == 1 + 5 + 4
    assert all(line.startswith("│    - ") for line in lines[1:])
    assert sum("2 of 4 epochs" in line for line in lines) == 5


def test_stopped_trials_stand_below_and_say_so():
    """Trial 5 has a better score than two of the full ones."""
    project = netopt.search.read_project(PROJECTS / "stopped")
    ranked = [t.trial_id for t in project.ranked()]
    text = str(netopt.search.leaderboard(PROJECTS / "stopped"))

    assert [t.trial_id for t in project.complete_trials()] == ["0", "3", "6"]
    assert ranked[:3] == ["6", "3", "0"]
    assert {*ranked[3:6]} == {"2", "5", "8"}  # The longer ones come first.
    assert project.trials[5].score < project.trials[3].score
    assert text.count("stopped after epoch 2") == 3
    assert text.count("stopped after epoch 1") == 3
    assert "± std" in text and "0.01" in text


def test_another_metric_can_rank():
    board = netopt.search.leaderboard(
        PROJECTS / "random", objective="val_accuracy", top=2
    )
    accuracy = [t.value("val_accuracy") for t in board.project.ranked()]

    assert board.project.direction == "max"
    assert accuracy == sorted(accuracy, reverse=True)
    assert "the highest val_accuracy is best" in str(board)
    assert str(board).endswith("6 trials more.")


def test_several_objectives_have_a_score_without_a_metric(copied):
    for path in copied.glob("trial_*/trial.json"):
        change(path, score=read_json(path)["score"] + 1e6)
    project = netopt.search.read_project(copied)

    assert (project.objective, project.direction) == ("score", "min")
    assert "the lowest score is best" in str(netopt.search.plots(copied))


@pytest.mark.parametrize("part", ["search", "netopt_search"])
def test_an_objective_that_was_saved_is_not_guessed(copied, part):
    """Another metric is equal, as a loss is that is a metric too."""
    for path in copied.glob("trial_*/trial.json"):
        state = read_json(path)
        metrics = state["metrics"]["metrics"]
        metrics["val_mse"] = metrics["val_loss"]
        path.write_text(json.dumps(state))
    change(copied / "oracle.json", **{part: {"objective": ["val_mse", "min"]}})
    project = netopt.search.read_project(copied)
    assert (project.objective, project.direction) == ("val_mse", "min")
    other = netopt.search.read_project(copied, objective="val_loss")
    assert other.objective == "val_loss"

    # No score tells the objective.
    for path in copied.glob("trial_*/trial.json"):
        change(path, status="FAILED", score=None)
    saved = {"objective": ["val_auc", "max"]}
    change(copied / "oracle.json", **{part: saved})
    assert "the highest val_auc is best" in str(
        netopt.search.leaderboard(copied)
    )


@pytest.mark.parametrize(
    "entries, low, high, sampling, choices",
    [
        (["log 1 10", "log 5 90"], 1, 90, "log", ()),
        (["log 1 10", "linear 5 90"], 1, 90, "linear", ()),
        (["log 1 10", [0.5, 20]], 0.5, 20, "log", ()),
        ([[0.5, 20], "log 1 10"], 0.5, 20, "log", ()),
        ([["a", "b"], ["b", "c"]], None, None, "linear", ("a", "b", "c")),
        (["log 1 10", ["a", "b"]], 1, 10, "log", ()),
    ],
)
def test_one_name_under_two_conditions_has_all_values(
    copied, entries, low, high, sampling, choices
):
    space = []
    for one in entries:
        config = {"name": "twice"}
        kind = "Choice"
        if isinstance(one, str):
            kind, (scale, *ends) = "Float", one.split()
            config |= {"sampling": scale}
            config["min_value"], config["max_value"] = map(int, ends)
        else:
            config["values"] = one
        space.append({"class_name": kind, "config": config})
    change(copied / "oracle.json", hyperparameters={"space": space})
    [found] = [
        one
        for one in netopt.search.read_project(copied).space
        if one.name == "twice"
    ]
    assert (found.low, found.high, found.sampling) == (low, high, sampling)
    assert found.choices == choices
    assert not found.is_whole


def test_of_two_equal_metrics_the_one_of_validation_is_the_objective(copied):
    for path in copied.glob("trial_*/trial.json"):
        state = read_json(path)
        metrics = state["metrics"]["metrics"]
        metrics["loss"] = metrics["val_loss"]
        path.write_text(json.dumps(state))

    assert netopt.search.read_project(copied).objective == "val_loss"


def test_the_table_can_be_written(tmp_path):
    path = tmp_path / "trials.csv"
    netopt.search.leaderboard(PROJECTS / "stopped", top=1).to_csv(path)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == 9
    assert [row["rank"] for row in rows] == ["1", "2", "3", *[""] * 6]
    first = rows[0]
    assert first["trial"] == "6" and first["complete"] == "True"
    assert float(first["score"]) == scores_in(PROJECTS / "stopped")["6"]
    assert float(first["std"]) == float(first["metric:val_loss_std"]) == 0.01
    assert float(first["metric:fold2/val_loss"]) > float(first["score"])
    assert first["hp:optimizer"] == "sgd" and first["hp:units"] == "48"
    assert rows[-1]["stopped_epoch"] == "1" and rows[-1]["std"] == ""


def test_broken_files_are_counted_and_the_rest_is_read(copied):
    """Half written, empty, of another kind, missing; and no oracle."""
    trials = sorted(copied.glob("trial_*/trial.json"))
    trials[0].write_text(trials[0].read_text()[:400])
    trials[1].write_text("")
    trials[2].write_text("[1, 2]")
    trials[3].write_text('{"trial_id": "3"}')
    trials[4].unlink()
    (copied / "oracle.json").write_text('{"start_order": [')
    board = netopt.search.leaderboard(copied)

    assert [t.trial_id for t in board.project.trials] == ["5", "6", "7"]
    names = [name for name, _ in board.project.unreadable]
    assert names == [
        "oracle.json",
        *(f"trial_{i}/trial.json" for i in range(5)),
    ]
    reasons = dict(board.project.unreadable)
    assert reasons["trial_4/trial.json"] == "missing"
    assert "KeyError" in reasons["trial_3/trial.json"]
    assert "6 files unreadable: oracle.json: unreadable" in str(board)
    assert "3 trials, 3 complete" in str(netopt.search.plots(copied))


def test_numbers_that_json_does_not_know_are_read(copied):
    path = copied / "trial_2" / "trial.json"
    text = path.read_text()
    score = read_json(path)["score"]
    path.write_text(text.replace(str(score), "NaN"))
    change(copied / "trial_3" / "trial.json", score=math.inf)
    project = netopt.search.read_project(copied)

    assert project.objective == "val_loss"
    assert project.unreadable == ()
    last = project.ranked()[-2:]
    assert {t.trial_id for t in last} == {"2", "3"}
    assert not any(t.is_scored for t in last)
    text = str(netopt.search.plots(copied))
    assert text.count("no finite score") == 2


def test_failed_and_running_trials_are_listed_last(copied):
    change(
        copied / "trial_0" / "trial.json",
        status="FAILED",
        score=None,
        best_step=None,
        message="Traceback ...\nValueError: too large",
    )
    change(copied / "trial_1" / "trial.json", status="RUNNING", score=None)
    board = netopt.search.leaderboard(copied)

    ranked = [t.trial_id for t in board.project.ranked()]
    assert ranked[-2:] == ["0", "1"]
    assert "8 trials, 6 complete" in str(board)
    lines = str(board).replace("│", " ").split()
    assert "FAILED:" in lines and "ValueError:" in lines and "RUNNING" in lines
    assert "val_loss" in str(netopt.search.plots(copied))


def test_a_project_that_has_only_begun_is_a_table_without_rows(tmp_path):
    shutil.copy(PROJECTS / "random" / "oracle.json", tmp_path)
    pictures = netopt.search.plots(tmp_path)

    assert "0 trials, 0 complete" in str(pictures)
    assert netopt.search.read_project(tmp_path).space


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path / "nowhere", "does not exist"),
        (lambda path: path, "is empty"),
        (lambda path: (path / "a.txt").touch() or path / "a.txt", "is a file"),
        (
            lambda path: (path / "a.txt").touch() or path,
            "holds neither oracle.json nor trial_* folders",
        ),
    ],
)
def test_what_is_no_project_is_refused(make, what, tmp_path):
    path = make(tmp_path)
    message = (
        "Argument `directory` must be a project folder of KerasTuner, "
        f"`directory/project_name` of the tuner; it {what}. "
        f"Received: directory={str(path)!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        netopt.search.read_project(path)


def test_the_folder_above_names_its_projects():
    with pytest.raises(
        ValueError, match="but the projects bayesian, grid, hyper"
    ):
        netopt.search.leaderboard(PROJECTS)


def test_an_unknown_metric_is_refused():
    message = (
        "Argument `objective` must be a metric of the trials: loss, val_loss, "
        "val_accuracy. Received: objective='val_beauty'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        netopt.search.read_project(PROJECTS / "random", objective="val_beauty")
    with pytest.raises(ValueError, match="^Argument `metrics` must name two"):
        netopt.search.plots(PROJECTS / "random", metrics=["val_loss"])


def test_reports_import_neither_the_tuner_nor_matplotlib():
    """And the tables are all there without pictures.

    Keras imports no backend here: it cannot hide that a report does.
    """
    code = (
        "import sys, keras; before = set(sys.modules);"
        "sys.modules['keras_tuner'] = sys.modules['matplotlib'] = None;"
        "sys.modules['matplotlib.figure'] = None;"
        "import keras_netopt as n;"
        f"p = n.search.plots({str(PROJECTS / 'stopped')!r});"
        "assert p.figures == {};"
        "assert 'Pareto front' in str(p) and 'Importance' in str(p);"
        "new = {m.partition('.')[0] for m in set(sys.modules) - before};"
        "print(sorted(new & {'tensorflow', 'tensorboard', 'sklearn', 'torch'}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
    )
    assert (result.returncode, result.stdout.strip()) == (0, "[]"), (
        result.stderr
    )


def test_names_are_loaded_when_they_are_used():
    for name in netopt.search.__all__:
        assert name in dir(netopt.search)
        assert getattr(netopt.search, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'draw'"):
        netopt.search.draw  # noqa: B018


def test_plots_list_the_best_hundred_trials(tmp_path):
    for i in range(103):
        folder = tmp_path / f"trial_{i:03d}"
        folder.mkdir()
        trial = {"trial_id": f"{i:03d}", "status": "COMPLETED"}
        trial |= {"score": 103.0 - i, "best_step": 0}
        trial |= {"hyperparameters": {"space": [], "values": {"x": i}}}
        (folder / "trial.json").write_text(json.dumps(trial))
    text = str(netopt.search.plots(tmp_path))
    board = text.partition("\n\n")[0]
    assert "3 trials more." in board
    assert "x=3 " in board and "x=2 " not in board
    assert "x=2 " in str(netopt.search.leaderboard(tmp_path))
