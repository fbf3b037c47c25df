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
    without_files,
)

from keras_netopt import search
from keras_netopt.search.oracles.hyperband_budget import hyperband_budget

pytestmark = pytest.mark.no_backend


def build(folder=None, max_epochs=9, hp=None, **options):
    oracle = search.HyperbandOracle(
        "val_loss",
        max_epochs,
        seed=0,
        hyperparameters=bowl() if hp is None else hp,
        **options,
    )
    return oracle if folder is None else attach(oracle, folder)


def sizes(found):
    by_bracket = {}
    for rung in found.rungs:
        by_bracket.setdefault(rung.bracket, []).append(
            (rung.trials, rung.epochs)
        )
    return by_bracket


def test_sizes_are_those_of_the_paper():
    found = hyperband_budget(81, 3)
    assert sizes(found) == {
        4: [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        3: [(34, 3), (11, 9), (3, 27), (1, 81)],
        2: [(15, 9), (5, 27), (1, 81)],
        1: [(8, 27), (2, 81)],
        0: [(5, 81)],
    }
    assert found.epochs == 1581
    assert max(sizes(hyperband_budget(243, 3))) == 5


@pytest.mark.parametrize(
    ("epochs", "total", "exact"),
    [(100, 1944, 1952), (10, 74, 77), (81, 1581, 1581)],
)
def test_epochs_that_are_no_power_are_rounded(epochs, total, exact):
    found = hyperband_budget(epochs, 3)
    assert found.epochs == total
    paper = 0.0
    for rung in found.rungs:
        end = epochs / 3 ** (len(sizes(found)[rung.bracket]) - 1 - rung.round)
        paper += rung.trials * end * (1 if rung.round == 0 else 2 / 3)
    assert round(paper) == exact


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("epochs", [1, 2, 5, 27])
def test_epochs_rise_to_the_most(epochs, factor):
    for rungs in sizes(hyperband_budget(epochs, factor)).values():
        ends = [end for _, end in rungs]
        assert ends == sorted(ends) and ends[0] >= 1
        assert ends[-1] == epochs
        assert all(trials >= 1 for trials, _ in rungs)


def trained(values):
    return values["tuner/epochs"] - values["tuner/initial_epoch"]


@pytest.mark.parametrize("hyperband_iterations", [1, 2])
def test_the_budget_printed_is_the_one_that_is_run(
    hyperband_iterations, tmp_path, capsys
):
    oracle = build(tmp_path, hyperband_iterations=hyperband_iterations)
    oracle.verbose = 1
    tried = drive(oracle, lambda v: score_bowl(v) + 1 / v["tuner/epochs"])
    assert str(oracle.budget) in capsys.readouterr().out
    assert len(tried) == oracle.budget.trials
    assert sum(map(trained, tried)) == oracle.budget.epochs
    ran = {}
    for values in tried:
        place = values["tuner/bracket"], values["tuner/round"]
        ran[place] = ran.get(place, 0) + 1
    assert ran == {
        (r.bracket, r.round): r.trials * hyperband_iterations
        for r in oracle.budget.rungs
    }


def test_the_best_of_a_rung_go_on(tmp_path):
    oracle = build(tmp_path)
    drive(oracle, score_bowl)
    children = [
        trial
        for trial in oracle.trials.values()
        if trial.hyperparameters.values["tuner/round"]
    ]
    for trial in children:
        values = dict(trial.hyperparameters.values)
        parent = oracle.trials[values.pop("tuner/trial_id")]
        before = dict(parent.hyperparameters.values)
        before.pop("tuner/trial_id", None)
        assert values["tuner/initial_epoch"] == before["tuner/epochs"]
        assert values["tuner/round"] == before["tuner/round"] + 1
        assert values["tuner/bracket"] == before["tuner/bracket"]
        assert {k: v for k, v in values.items() if "tuner" not in k} == {
            k: v for k, v in before.items() if "tuner" not in k
        }
    first = [
        trial
        for trial in oracle.trials.values()
        if trial.hyperparameters.values["tuner/bracket"] == 2
        and trial.hyperparameters.values["tuner/round"] == 0
    ]
    best = sorted(first, key=lambda trial: trial.score)[:3]
    gone = {
        trial.hyperparameters.values["tuner/trial_id"]
        for trial in children
        if trial.hyperparameters.values["tuner/bracket"] == 2
        and trial.hyperparameters.values["tuner/round"] == 1
    }
    assert gone == {trial.trial_id for trial in best}


def test_workers_fill_the_next_bracket_and_then_wait(tmp_path):
    """No trial is promoted before its rung is complete."""
    oracle = build(tmp_path, max_epochs=3)  # 3 to 1, and 2.
    trials = [oracle.create_trial(f"worker{i}") for i in range(5)]
    assert [t.hyperparameters.values["tuner/bracket"] for t in trials] == [
        *(1, 1, 1),
        *(0, 0),
    ]
    assert oracle.create_trial("idle").status == "IDLE"
    for trial, score in zip(trials[:2], (3.0, 1.0), strict=True):
        finish(oracle, trial, {"val_loss": score})
        assert oracle.create_trial("idle").status == "IDLE"
    finish(oracle, trials[2], {"val_loss": 2.0})
    promoted = oracle.create_trial("idle")
    assert promoted.hyperparameters.values["tuner/trial_id"] == "0001"
    assert oracle.create_trial("other").status == "STOPPED"


def test_failed_trials_do_not_go_on(tmp_path):
    oracle = build(tmp_path, max_epochs=3)
    for status in ("FAILED", "FAILED", "COMPLETED"):
        trial = oracle.create_trial("worker")
        oracle.update_trial(trial.trial_id, {"val_loss": 1.0})
        trial.status = status
        oracle.end_trial(trial)
    promoted = oracle.create_trial("worker")
    assert promoted.hyperparameters.values["tuner/trial_id"] == "0002"


def test_a_small_space_ends_with_fewer_trials(tmp_path):
    oracle = build(tmp_path, 27, hp=cells())
    tried = drive(oracle, lambda values: float(values["a"]))
    new = [values for values in tried if not values["tuner/round"]]
    assert len(new) == 16
    assert {values["tuner/bracket"] for values in tried} == {3}
    assert max(values["tuner/epochs"] for values in tried) == 27


def test_points_and_defaults_begin_the_first_rung(tmp_path):
    oracle = build(tmp_path, initial_points=[{"n": 70}])
    tried = drive(oracle, score_bowl)
    assert [values["n"] for values in tried[:2]] == [1, 70]
    assert all(values["tuner/round"] == 0 for values in tried[:9])


def test_densities_of_the_largest_budget_are_used():
    """BOHB: with a sampler the points of later brackets are better."""
    sampler = search.TPEOracle(n_startup_trials=1)
    wins = 0
    for seed in range(4):
        means = []
        for chosen in (None, sampler):
            oracle = search.HyperbandOracle(
                "val_loss",
                9,
                hyperband_iterations=2,
                seed=seed,
                hyperparameters=bowl(),
                sampler=chosen,
                random_fraction=0.0,
            )
            tried = drive(without_files(oracle), score_bowl)
            late = [v for v in tried[25:] if not v["tuner/round"]]
            means.append(sum(map(score_bowl, late)) / len(late))
        wins += means[1] < means[0]
    assert wins == 4


def test_a_tuner_that_trains_in_full_raises(tmp_path):
    oracle = build(tmp_path)
    trial = oracle.create_trial("worker")
    for step in range(2):
        oracle.update_trial(
            trial.trial_id, {"val_loss": 1.0 / (step + 1)}, step
        )
    trial.status = "COMPLETED"
    with pytest.raises(
        ValueError, match="`keras_tuner.Tuner` does not"
    ) as error:
        oracle.end_trial(trial)
    assert "Received: epoch 2 of a trial with tuner/epochs=1" in str(
        error.value
    )


def test_more_iterations_go_on_as_one_longer_search(tmp_path):
    short = build(tmp_path / "short", max_epochs=3)
    drive(short, score_bowl)
    before = history(short)
    longer = resume(
        build(max_epochs=3, hyperband_iterations=3), tmp_path / "short"
    )
    drive(longer, score_bowl)
    whole = build(tmp_path / "whole", max_epochs=3, hyperband_iterations=3)
    drive(whole, score_bowl)
    assert history(longer) == history(whole)
    assert history(longer)[: len(before)] == before
    fewer = build(max_epochs=3, hyperband_iterations=2)
    with pytest.raises(ValueError, match="has begun, 3") as error:
        resume(fewer, tmp_path / "short")
    assert "Received: hyperband_iterations=2" in str(error.value)


def test_iterations_that_have_not_begun_may_be_dropped(tmp_path):
    drive(build(tmp_path, hyperband_iterations=4), score_bowl, most=3)
    fewer = resume(build(), tmp_path)
    assert len(drive(fewer, score_bowl)) == fewer.budget.trials - 3


def test_another_budget_is_another_search(tmp_path):
    drive(build(tmp_path), score_bowl, most=3)
    with pytest.raises(ValueError, match="belongs to another search"):
        resume(build(max_epochs=27), tmp_path)


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"factor": 1}, ValueError, "factor"),
        ({"max_epochs": 0}, ValueError, "max_epochs"),
        ({"hyperband_iterations": 0}, ValueError, "hyperband_iterations"),
        ({"sampler": "tpe"}, TypeError, "sampler"),
        ({"random_fraction": 2.0}, ValueError, "random_fraction"),
        ({"warm_start": [({}, 1.0)]}, ValueError, "warm_start"),
    ],
)
def test_wrong_arguments_are_refused(options, error, name):
    with pytest.raises(error, match=f"Argument `{name}` must be") as caught:
        build(**options)
    assert "Received: " in str(caught.value)
