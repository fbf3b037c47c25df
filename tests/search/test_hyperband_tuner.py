"""Trials of different lengths in a tuner: ranks, the bar and `confirm`."""

import re

import keras_tuner
import pytest
from search import toys

from keras_netopt import search
from keras_netopt.warnings import NoEffectWarning


class Rising(keras_tuner.HyperModel):
    """The longer the training, the worse the score."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def build(self, hp):
        hp.Float("x", 0.0, 1.0)
        return toys.tiny(hp)

    def fit(self, hp, model, *args, callbacks, epochs, initial_epoch=0):
        self.epochs.append((initial_epoch, epochs))
        x = hp.get("x")
        return toys.train(
            model, lambda e: {"v": x + e}, callbacks, epochs, initial_epoch
        )


def halve(tuner, **options):
    """Two trials of one epoch, one of them promoted, and two of two."""
    oracle = search.HyperbandOracle(toys.lowest("v"), 2, factor=2, seed=0)
    made = tuner(Rising(), oracle, score_epoch="last", **options)
    made.search(toys.X, toys.Y)
    return made


def values_of(made, names):
    return [made.oracle.trials[name].hyperparameters.get("x") for name in names]


def last_line(capsys):
    """The bar at its end, without the blanks that cover a longer line."""
    return capsys.readouterr().out.rstrip().rpartition("\r")[2]


def test_trials_of_the_last_rung_rank_first(tuner, tmp_path, capsys):
    made = halve(tuner)
    ranked = made.oracle.get_best_trials(9)
    epochs = [t.hyperparameters.values["tuner/epochs"] for t in ranked]
    assert epochs == [2, 2, 2, 1, 1]
    assert ranked[0].score > ranked[-1].score
    found = search.read_project(tmp_path / "p").ranked()
    assert [t.trial_id for t in found] == [t.trial_id for t in ranked]
    shown = last_line(capsys)
    assert "5/5" in shown
    assert shown.endswith(f"best: {ranked[0].score:.4f}")


def test_each_configuration_is_confirmed_once_and_in_full(tuner, tmp_path):
    made = halve(tuner, confirm=4, confirm_seeds=1)
    rows = made.confirmation.rows
    found = values_of(made, [row.name for row in rows])
    assert len(made.oracle.trials) == 5
    every = sorted(set(values_of(made, made.oracle.trials)))
    assert found == every and len(every) == 4
    assert [row.mean for row in rows] == pytest.approx([x + 1 for x in every])
    assert made.hypermodel.epochs[5:] == [(0, 2)] * 4
    board = str(search.leaderboard(tmp_path / "p"))
    assert re.findall(r"^│ +(\d|-) │", board, re.M) == ["1", "2", "3", "4", "-"]


def test_trials_without_a_score_are_not_confirmed(tuner):
    class Diverging(Rising):
        def fit(self, hp, model, *args, callbacks, **kwargs):
            if hp.get("x") > 0.0:  # All but the defaults.
                return float("nan")
            return super().fit(hp, model, *args, callbacks=callbacks, epochs=1)

    oracle = search.RandomSearchOracle(toys.lowest("v"), 9, seed=0)
    made = tuner(Diverging(), oracle, confirm=2)
    made.search(toys.X, toys.Y, verbose=0)
    assert [row.name for row in made.confirmation.rows] == ["0"]


def test_a_search_without_a_completed_trial_says_so(tuner, tmp_path, capsys):
    class Failing(Rising):
        def fit(self, *args, **kwargs):
            raise keras_tuner.errors.FailedTrialError("none")

    oracle = search.RandomSearchOracle(
        keras_tuner.Objective("v", "max"),
        3,
        seed=0,
        max_consecutive_failed_trials=9,
    )
    made = tuner(Failing(), oracle)
    with pytest.warns(NoEffectWarning, match="No trial.*: 3 trials failed"):
        made.search(toys.X, toys.Y)
    assert last_line(capsys).endswith("trial - failed: 3")
    board = str(search.leaderboard(tmp_path / "p"))
    assert "3 trials, 0 complete; the highest v is best" in board
    with pytest.raises(ValueError, match="lists their errors.*: 3 trials"):
        made.refit(toys.X, toys.Y)
