"""The best trials are trained again with new seeds."""

import json
import math
import statistics

import keras
import keras_tuner
import numpy as np
import pytest
from search import toys

from keras_netopt import search
from keras_netopt.search.reports.confirmation import (
    rank_confirmed,
    t_quantile,
)


@pytest.mark.no_backend
def test_the_quantile_is_that_of_the_tables():
    for freedom, wanted in (
        *((1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645)),
        *((9, 2.26216), (10, 2.22814), (120, 1.97993)),
    ):
        assert t_quantile(freedom) == pytest.approx(wanted, rel=1e-5)
    assert t_quantile(5, 0.99) == pytest.approx(4.03214, rel=1e-5)


@pytest.mark.no_backend
def test_ranks_intervals_and_groups():
    scores = {
        "a": [1.0, 1.2, 1.1],
        "b": [0.3, 0.2, 0.25],
        "c": [0.1, 0.4, 0.3],
        "d": [math.nan, 0.0, 0.0],
        "e": [1.15, 1.05, 1.2],
    }
    found = rank_confirmed(scores)
    assert [(row.name, row.group) for row in found.rows] == [
        *(("b", 1), ("c", 1), ("a", 2), ("e", 2), ("d", 3))
    ]
    assert found.cannot_be_told_apart == ["b", "c"]
    first, *_, last = found.rows
    half = 4.30265 * statistics.stdev(scores["b"]) / math.sqrt(3)
    assert (first.low, first.high) == pytest.approx((0.25 - half, 0.25 + half))
    assert last.mean == last.high == -last.low == math.inf
    assert "Cannot be told apart: trials b, c." in str(found)

    found = rank_confirmed({"a": [1.0], "b": [2.0], "c": [0.5]}, "max")
    assert [row.name for row in found.rows] == ["b", "a", "c"]
    assert {row.group for row in found.rows} == {1}
    assert found.rows[0].low == -math.inf
    assert found.rows[0].describe() == "2" and "inf" not in str(found)

    same = rank_confirmed({"a": [1.0, 1.0], "b": [2.0, 2.0]})
    assert [row.group for row in same.rows] == [1, 2]
    assert "apart" not in str(same)
    with pytest.raises(ValueError, match="Received: none of 'a'"):
        rank_confirmed({"a": []})


class Noisy(keras_tuner.HyperModel):
    """A score of the first weights: luck alone, of the seed alone."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.stop_at, self.trained = stop_at, 0

    def build(self, hp):
        hp.Float("x", 0.0, 1.0)
        return toys.tiny(hp)

    def fit(self, hp, model, x, y, callbacks=(), **kwargs):
        if self.trained == self.stop_at:
            raise KeyboardInterrupt
        self.trained += 1
        logs = {"v": luck(model)}
        return toys.train(model, lambda _: logs, callbacks)


def luck(model):
    return abs(float(model.get_weights()[0][0]))


def confirm(tuner, hypermodel, verbose=0, **options):
    oracle = search.RandomSearchOracle(toys.lowest("v"), 9, seed=3)
    made = tuner(hypermodel, oracle, confirm=2, **options)
    made.search(toys.X, toys.Y, verbose=verbose)
    return made


def test_the_best_trials_are_trained_with_new_seeds(tuner, tmp_path, capsys):
    made = confirm(tuner, Noisy(), keep_weights="best", verbose=1)
    assert made.hypermodel.trained == 9 and len(made.oracle.trials) == 3
    shown = capsys.readouterr().out
    assert "6 of 9 trainings are kept for 3 new seeds of the 2 best" in shown
    assert "Trained again with new seeds" in shown

    trials = made.oracle.trials.values()
    chosen = sorted(trials, key=lambda trial: trial.score)[:2]
    rows = {row.name: row for row in made.confirmation.rows}
    assert set(rows) == {trial.trial_id for trial in chosen}
    for trial in trials:
        folder = tmp_path / "p" / f"trial_{trial.trial_id}"
        saved = json.loads((folder / "trial.json").read_text())["metrics"]
        names = [name for name in saved["metrics"] if "confirm" in name]
        if trial not in chosen:
            assert names == []
            continue
        assert names == [f"confirm{seed}/v" for seed in range(3)]
        for seed, score in enumerate(rows[trial.trial_id].scores):
            wanted = made.execution_seed(trial.trial_id, f"confirm{seed}")
            keras.utils.set_random_seed(wanted)
            assert score == pytest.approx(luck(toys.tiny(None)))
        assert not list(folder.glob("confirm*"))
    assert made.oracle.get_best_trials()[0].trial_id == next(iter(rows))
    ranked = [trial.trial_id for trial in made.oracle.get_best_trials(3)]
    assert ranked[:2] == list(rows)
    board = str(search.leaderboard(tmp_path / "p"))
    places = [board.index(rows[name].describe()) for name in rows]
    assert places == sorted(places) and "Trials with new seeds rank" in board
    found = search.read_project(tmp_path / "p")
    assert [trial.trial_id for trial in found.ranked()] == ranked
    assert found.confirmation == made.confirmation
    page = search.report(tmp_path / "p", tmp_path / "p.html").read_text()
    assert all(row.describe() in page for row in rows.values())
    # The model is that of the search, and the only one that is kept.
    [model] = made.get_best_models()
    assert luck(model) == pytest.approx(made.oracle.trials[ranked[0]].score)
    assert len(list((tmp_path / "p").glob("trial_*/*.weights.h5"))) == 1


def test_an_interrupted_confirmation_goes_on(tuner):
    whole = confirm(tuner, Noisy(), project_name="whole").confirmation
    for stop_at in (1, 5):
        project = f"stopped{stop_at}"
        with pytest.raises(KeyboardInterrupt):
            confirm(tuner, Noisy(stop_at), project_name=project)
        found = confirm(tuner, Noisy(), project_name=project)
        assert found.hypermodel.trained == 9 - stop_at
        assert found.confirmation == whole


@pytest.mark.parametrize(
    "convert", [np.float32, lambda v: [v, v], lambda v: {"v": v, "w": 1.0}]
)
def test_whatever_fit_returns_is_confirmed(tuner, convert):
    class Returning(Noisy):
        def fit(self, hp, model, *args, **kwargs):
            return convert(luck(model))

    made = confirm(tuner, Returning(), executions_per_trial=2)
    for row in made.confirmation.rows:
        scores = []
        for execution in range(2):
            name = f"confirm0/execution{execution}"
            keras.utils.set_random_seed(made.execution_seed(row.name, name))
            scores.append(luck(toys.tiny(None)))
        assert row.scores[0] == pytest.approx(statistics.fmean(scores))


def test_a_confirmed_search_that_is_extended_keeps_its_new_winner(tuner):
    """Whether the winner was confirmed before or not."""
    new = 0
    for seed in range(2):
        options = {"keep_weights": "best", "project_name": f"p{seed}"}
        for trials in (2, 6):
            oracle = search.RandomSearchOracle(
                toys.lowest("v"), trials, seed=seed
            )
            made = tuner(Noisy(), oracle, confirm=1, confirm_seeds=1, **options)
            made.search(toys.X, toys.Y, verbose=0)
        [best] = made.oracle.get_best_trials()
        assert best.trial_id == made.confirmation.rows[0].name
        assert luck(*made.get_best_models()) == pytest.approx(best.score)
        new += best.trial_id != "0"
    assert new == 1


def test_a_tuner_and_the_board_rank_what_was_confirmed_before_alike(
    tuner, tmp_path
):
    confirm(tuner, Noisy())
    for options in ({"confirm": 0}, {"confirm": 1, "confirm_seeds": 1}):
        oracle = search.RandomSearchOracle(toys.lowest("v"), 9, seed=3)
        made = tuner(Noisy(), oracle, **options)
        made.search(toys.X, toys.Y, verbose=0)
        ranked = [trial.trial_id for trial in made.oracle.get_best_trials(9)]
        found = search.read_project(tmp_path / "p")
        assert [trial.trial_id for trial in found.ranked()] == ranked
        assert len(found.confirmation.rows) == 2
    assert made.confirmation == found.confirmation


def test_folds_are_confirmed_too_and_no_stopper_hears_of_it(tuner):
    stopper = search.PatienceStopping(1)
    made = confirm(tuner, Noisy(), folds=2, stopper=stopper)
    assert made.hypermodel.trained == 18
    for row in made.confirmation.rows:
        scores = []
        for fold in range(2):
            name = f"confirm0/fold{fold}"
            keras.utils.set_random_seed(made.execution_seed(row.name, name))
            scores.append(luck(toys.tiny(None)))
        assert row.scores[0] == pytest.approx(statistics.fmean(scores))
        heard = made.oracle.trials[row.name].metrics.get_last_value("fold0/v")
        assert stopper.curves[row.name] == {1: heard}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"executor": 2}, "Argument `confirm` must be 0 with an `executor`"),
        ({"confirm": 3}, "must be at least 12.*max_trials=9, confirm=3"),
        ({"confirm_seeds": 0}, "Received: confirm_seeds=0"),
        (
            {
                "oracle": search.NSGA2Oracle(
                    [toys.lowest("v"), toys.lowest("loss")], 9
                )
            },
            "an oracle of several objectives",
        ),
    ],
)
def test_what_cannot_be_confirmed_is_refused(tuner, options, message):
    oracle = search.RandomSearchOracle(toys.lowest("v"), 9)
    with pytest.raises(ValueError, match=message):
        tuner(Noisy(), **{"confirm": 1, "oracle": oracle, **options})


def test_a_tuner_with_its_own_run_trial_has_its_own_seeds(tmp_path):
    class Mine(search.Tuner):
        def run_trial(self, trial):
            return 0.0

    oracle = search.RandomSearchOracle(None, 9)
    with pytest.raises(ValueError, match="that overrides `run_trial`"):
        Mine(oracle=oracle, confirm=1, directory=tmp_path)
