"""Trials of different length, compared after the same number of epochs."""

import math

import keras_tuner
import numpy as np
import pytest
from search.oracle_tools import attach, bowl, drive, finish, score_bowl, space

from keras_netopt import search
from keras_netopt.search.oracles.observations import (
    FINISHED,
    STOPPED,
    STOPPED_METRIC,
    Observation,
)
from keras_netopt.search.oracles.promoted_trials import join_promoted
from keras_netopt.search.oracles.rung_values import (
    count_at_rung,
    find_rung,
    rank_at_rung,
    read_curve,
)
from keras_netopt.search.search_space import SearchSpace

pytestmark = pytest.mark.no_backend


def stopped(name, epochs, *curve):
    pairs = list(zip((1, 3, 9), curve, strict=False))
    return Observation({"i": name}, curve[-1], STOPPED, epochs, pairs)


def complete(name, *curve):
    pairs = list(zip((1, 3, 9, 27), curve, strict=False))
    return Observation({"i": name}, curve[-1], FINISHED, curve=pairs)


TRIALS = [
    complete(0, 9.0, 8.0, 7.0, 6.0),  # The first one passes every rung.
    stopped(1, 3, 4.0, 3.0),
    stopped(2, 1, 2.0),
    stopped(3, 3, 5.0, 1.0),
    Observation({"i": 4}, state="infeasible"),
    stopped(5, 9, 3.0, 2.5, 2.0),
    Observation({"i": 6}, state="running"),
    stopped(7, 1, 8.0),
]


@pytest.mark.parametrize(
    ("least", "rung", "count"),
    [(1, math.inf, 1), (2, 9, 2), (3, 3, 4), (4, 3, 4), (5, 1, 6), (7, 1, 6)],
)
def test_the_largest_rung_with_enough_trials_is_found(least, rung, count):
    assert find_rung(TRIALS, least) == rung
    assert count_at_rung(TRIALS, rung) == count
    assert find_rung([], least) == math.inf


@pytest.mark.parametrize(
    ("rung", "order"),
    [
        (math.inf, [0, 5, 3, 1, 2, 7]),
        (9, [5, 0, 3, 1, 2, 7]),
        (3, [3, 5, 1, 0, 2, 7]),
        (2, [5, 1, 3, 0, 2, 7]),  # Between rungs: the loss of the one below.
        (1, [2, 5, 1, 3, 7, 0]),
    ],
)
def test_trials_rank_by_their_loss_at_the_rung(rung, order):
    ranked = sorted(TRIALS, key=lambda o: rank_at_rung(o, rung))
    assert [o.values["i"] for o in ranked[:6]] == order


def test_a_trial_without_losses_of_epochs_has_its_score():
    plain = [Observation({"i": 0}, 2.5), Observation({"i": 1}, 9.0)]
    ranked = sorted([*TRIALS, *plain], key=lambda o: rank_at_rung(o, 3))
    assert [o.score for o in ranked[:6]] == [1.0, 2.0, 2.5, 3.0, 6.0, 9.0]


def track(**reports):
    metrics = keras_tuner.engine.trial.Trial(bowl()).metrics
    for name, values in reports.items():
        name = name.replace("__", "/")
        metrics.register(name, direction="min")
        for step, value in values.items():
            metrics.update(name, value, step=step)
    return metrics


@pytest.mark.parametrize(
    ("reports", "curve"),
    [
        ({"v": {0: 3.0, 1: 4.0, 2: 2.0}}, [(1, 3.0), (2, 3.0), (3, 2.0)]),
        ({"v": {1: 3.0, 3: math.nan}}, [(2, 3.0), (4, 3.0)]),
        # The score is that of the last epoch.
        (
            {"v": {1: 4.0}, "epoch__v": {0: 3.0, 1: 4.0}},
            [(1, 3.0), (2, 4.0)],
        ),
        # The mean of two folds; the first one is reported by epochs.
        ({"v": {1: 9.0}, "fold0__v": {0: 3.0, 1: 2.0}}, [(1, 3.0), (2, 2.0)]),
        ({"v": {1: 9.0}}, []),
        ({"w": {0: 1.0, 1: 2.0}}, []),
    ],
)
def test_the_losses_of_a_trial_are_read_by_epoch(reports, curve):
    metrics = track(**reports)
    assert list(read_curve(metrics, "v", "min")) == curve


def test_complete_trials_that_are_bad_are_not_among_the_best():
    """Few of many trials are complete under a stopper, good or not."""
    hp = space(x=("Float", 0.0, 1.0))
    known = SearchSpace(hp)
    rows = [(0.9, 9.0, None), (0.95, 8.0, None), (0.1, 1.0, None)]
    rows += [(0.3 + i / 60, 10.0 + i, 1.0) for i in range(27)]
    seen = [
        Observation(
            {"x": x},
            score,
            STOPPED if epochs else FINISHED,
            epochs or 0.0,
            places=known.encode({"x": x}),
        )
        for x, score, epochs in rows
    ]
    oracle = search.TPEOracle("val_loss", 9, seed=0, hyperparameters=hp)
    rng = np.random.default_rng(0)
    drawn = [
        oracle.propose(known, seen, rng, lambda _: False)["x"]
        for _ in range(20)
    ]
    assert max(drawn) < 0.5


def test_a_stopped_trial_has_its_losses_in_a_search_and_after_a_resume(
    tmp_path,
):
    oracle = attach(
        search.TPEOracle("val_loss", 5, seed=0, hyperparameters=bowl()),
        tmp_path,
    )
    trial = oracle.create_trial("worker")
    for step, loss in enumerate((4.0, 2.0, 3.0)):
        oracle.update_trial(trial.trial_id, {"val_loss": loss}, step)
    finish_stopped = {"val_loss": 3.0, STOPPED_METRIC: 3.0}
    oracle.update_trial(trial.trial_id, finish_stopped, 2)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    finish(oracle, oracle.create_trial("worker"), {"val_loss": 1.0}, 2)

    expected = [[(1, 4.0), (2, 2.0), (3, 2.0)], [(1, 2.0), (2, 1.0)]]
    assert [list(o.curve) for o in oracle.observations()] == expected
    folder = str(tmp_path / "project")
    warm = search.TPEOracle(
        "val_loss", 5, seed=0, hyperparameters=bowl(), warm_start=folder
    )
    attach(warm, tmp_path / "warm")
    drive(warm, score_bowl, most=1)
    again = search.TPEOracle("val_loss", 5, hyperparameters=bowl())
    attach(again, tmp_path / "warm")
    again.reload()
    for one in (warm, again):
        assert [o.state for o in one.warm_start] == [STOPPED, FINISHED]
        curves = [[tuple(p) for p in o.curve] for o in one.warm_start]
        assert curves == expected


def promoted(i, epochs, score, parent=None, curve=()):
    values = {"i": i, "tuner/epochs": epochs}
    if parent is not None:
        values["tuner/trial_id"] = parent
    return Observation(values, score, curve=curve)


def test_a_promoted_trial_counts_at_each_rung_that_it_passed():
    found = join_promoted(
        [
            ("0", promoted(0, 1, 5.0)),
            ("1", promoted(1, 1, 4.0)),
            ("2", promoted(1, 3, 3.0, "1", [(2, 3.5), (3, 3.1)])),
            ("3", promoted(1, 9, 2.0, "2")),
            # Its first rung is the last one.
            ("4", promoted(2, 9, 1.0, curve=[(1, 9.0), (3, 8.0), (9, 1.0)])),
            ("5", Observation(promoted(0, 3, 0.0, "0").values, state="failed")),
        ],
        9,
    )
    assert [(o.values["i"], o.state) for o in found] == [
        (0, STOPPED),
        (1, FINISHED),
        (2, FINISHED),
        (0, "failed"),
    ]
    assert list(found[1].curve) == [(1, 4.0), (2, 3.5), (3, 3.0), (9, 2.0)]
    ranks = [[rank_at_rung(o, rung)[-1] for o in found[:3]] for rung in (1, 3)]
    assert ranks == [[5.0, 4.0, 9.0], [5.0, 3.0, 8.0]]
    assert find_rung(found, 3) == 1 and find_rung(found, 2) == math.inf


@pytest.mark.parametrize("most", [None, 11])
def test_warm_start_knows_the_rungs_of_hyperband(most, tmp_path):
    """Also of a search that was ended before its first complete trial."""
    oracle = search.HyperbandOracle(
        "val_loss", 9, seed=0, hyperparameters=bowl()
    )
    options = {} if most is None else {"most": most}
    drive(attach(oracle, tmp_path), score_bowl, **options)
    folder = str(tmp_path / "project")
    warm = search.TPEOracle("val_loss", 5, warm_start=folder).warm_start

    last = {}
    for trial in oracle.trials.values():
        values = dict(trial.hyperparameters.values)
        epochs = values["tuner/epochs"]
        point = tuple(v for k, v in values.items() if "tuner/" not in k)
        last[point] = max(epochs, last.get(point, 0))
    assert {tuple(o.values.values()): o.epochs for o in warm} == last
    assert len(warm) == len(last)
    assert all((o.state == STOPPED) == (o.epochs < 9) for o in warm)
    assert {o.state for o in warm} >= {STOPPED}
