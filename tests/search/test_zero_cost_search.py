"""The oracle and the tuner that rank a pool before training."""

import keras
import numpy as np
import pytest
from search import toys
from search.oracle_tools import attach, cells, drive, resume
from search.toys import X, Y

from keras_netopt import search


def build(hp):
    model = keras.Sequential([keras.Input((1,))])
    for i in range(hp.Int("layers", 1, 2)):
        units = hp.Int(f"units_{i}", 2, 6)
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse")
    return model


class Counted(search.ZeroCost):
    """Trains nothing; the loss is the number of parameters."""

    def run_trial(self, trial, *args, **kwargs):
        return float(
            self.hypermodel.build(trial.hyperparameters).count_params()
        )


def tuner(folder, **options):
    given = {"max_trials": 3, "pool": 12, "proxies": "params", "seed": 0}
    return Counted(build, directory=folder, **{**given, **options})


def losses(found):
    trials = found.oracle.trials
    return [trials[name].score for name in found.oracle.start_order]


@pytest.mark.no_backend
def test_the_best_of_the_pool_come_first(tmp_path):
    scored = []

    def score(values):
        scored.append(values)
        if values["b"] == "b3":
            return "too slow"
        return {"x": values["a"], "y": -int(values["b"][1])}

    def make():
        return search.ZeroCostOracle(
            "val_loss",
            4,
            pool=16,
            score=score,
            seed=0,
            defaults_first=False,
            hyperparameters=cells(),
        )

    oracle = attach(make(), tmp_path)
    tried = drive(oracle, lambda values: 0.0)
    assert tried[0] == {"a": 3, "b": "b0"}
    ranks = [row["rank"] for row in oracle.candidates]
    assert ranks == sorted(ranks, reverse=True) and len(ranks) == 12
    assert [row["values"] for row in oracle.candidates[:4]] == tried
    assert oracle.rejections == {"too slow": 4}
    assert len(scored) == 16
    again = resume(make(), tmp_path)
    assert again.candidates == oracle.candidates and len(scored) == 16


@pytest.mark.no_backend
def test_a_used_pool_is_followed_by_another(tmp_path):
    oracle = search.ZeroCostOracle(
        "val_loss",
        None,
        pool=5,
        score=lambda values: values["a"],
        seed=0,
        hyperparameters=cells(),
    )
    tried = drive(attach(oracle, tmp_path), lambda values: 0.0)
    assert len({tuple(values.values()) for values in tried}) == 16
    first = [values["a"] for values in tried[1:6]]
    assert first == sorted(first, reverse=True)


@pytest.mark.no_backend
def test_an_oracle_without_a_score_says_who_has_one(tmp_path):
    oracle = search.ZeroCostOracle("val_loss", 2, hyperparameters=cells())
    attach(oracle, tmp_path)
    with pytest.raises(ValueError, match=r"`search\.ZeroCost\(build"):
        oracle.populate_space("1")


def test_the_tuner_trains_the_best_feasible_models(tmp_path):
    found = tuner(
        tmp_path, constraints=search.MaxParams(60), defaults_first=False
    )
    found.search(X, Y, verbose=0)
    pool = found.oracle.candidates
    largest = sorted((row["scores"]["params"] for row in pool), reverse=True)
    assert losses(found) == largest[:3] and largest[0] <= 60
    layers = {row["values"].get("layers") for row in pool}
    assert layers == {1, 2}
    # The second layer was unknown before a candidate had it.
    assert any("units_1" in row["values"] for row in pool)


def test_a_resumed_search_scores_nothing_again(tmp_path, monkeypatch):
    found = tuner(tmp_path / "a", max_trials=2)
    found.search(X, Y, verbose=0)
    whole = tuner(tmp_path / "b", max_trials=4)
    whole.search(X, Y, verbose=0)
    again = tuner(tmp_path / "a", max_trials=4)
    monkeypatch.setattr(
        Counted,
        "_score_candidate",
        lambda self, values: pytest.fail("scored again"),
    )
    again.search(X, Y, verbose=0)
    assert losses(again) == losses(whole)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[index::2], Y[index::2]


def test_scores_see_the_data_of_the_search(tmp_path):
    found = tuner(
        tmp_path, proxies=["swap", "channel_entropy"], samples=4, max_trials=2
    )
    found.search(Batches(), verbose=0)
    scores = {tuple(row["scores"].values()) for row in found.oracle.candidates}
    assert len(scores) > 3


def test_no_feasible_candidate_is_an_error(tmp_path):
    found = tuner(
        tmp_path, constraints=search.MaxParams(2), defaults_first=False
    )
    with pytest.raises(ValueError, match="12 with params above 2"):
        found.search(X, Y, verbose=0)


def test_trials_train_the_models(tmp_path):
    found = search.ZeroCost(
        toys.build,
        "val_loss",
        2,
        pool=4,
        score=lambda values: values["rate"],
        directory=tmp_path,
    )
    found.search(X, Y, epochs=2, validation_split=0.25, verbose=0)
    assert len(found.oracle.end_order) == 2
    assert np.isfinite(losses(found)).all()
