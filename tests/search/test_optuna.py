"""Samplers of Optuna: they resume, see every state, and find the minimum."""

import keras_tuner
import pytest
from search.functions import branin, branin_space, quick
from search.oracle_tools import (
    attach,
    bowl,
    drive,
    history,
    resume,
    score_bowl,
    space,
)

from keras_netopt import search

pytestmark = pytest.mark.no_backend


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna")


def optuna_oracle(optuna, **options):
    return search.OptunaOracle(
        "val_loss",
        8,
        seed=0,
        hyperparameters=bowl(),
        sampler=lambda seed: optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=3
        ),
        **options,
    )


def test_samplers_of_optuna_resume(optuna, tmp_path):
    whole = attach(optuna_oracle(optuna), tmp_path / "whole")
    drive(whole, score_bowl)
    assert len(whole.trials) == 8
    drive(attach(optuna_oracle(optuna), tmp_path / "half"), score_bowl, most=5)
    resumed = resume(optuna_oracle(optuna), tmp_path / "half")
    drive(resumed, score_bowl)
    assert history(resumed) == history(whole)


def test_samplers_of_optuna_see_every_state(optuna, tmp_path):
    class Spy(optuna.samplers.RandomSampler):
        def before_trial(self, study, trial):
            seen[:] = study.get_trials(deepcopy=False)[:-1]

    seen = []
    oracle = search.OptunaOracle(
        keras_tuner.Objective("score", "max"),
        9,
        seed=0,
        hyperparameters=bowl(),
        sampler=Spy,
        warm_start=[({"n": 4}, 2.0)],
    )
    attach(oracle, tmp_path)
    for score, more, status in (
        (5.0, {}, "COMPLETED"),
        (1.0, {"stopped_epoch": 3.0}, "COMPLETED"),
        (float("nan"), {}, "COMPLETED"),
        (0.0, {}, "FAILED"),
    ):
        trial = oracle.create_trial("worker")
        oracle.update_trial(trial.trial_id, {"score": score, **more})
        trial.status = status
        oracle.end_trial(trial)
    oracle.create_trial("busy")
    oracle.reject({"x": 0.0, "n": 3, "kind": "a"}, "large")
    oracle.create_trial("worker")
    assert [trial.state.name for trial in seen] == [
        *("COMPLETE", "COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"),
        *("RUNNING", "COMPLETE"),
    ]
    # Minimized; what failed is as bad as the worst.
    values = [t.value for t in seen if t.state.name == "COMPLETE"]
    assert values == [-2.0, -5.0, -1.0, -1.0, -1.0]
    assert seen[2].intermediate_values == {3: -1.0}
    assert len(seen[0].params) == 1 and len(seen[1].params) == 3


def test_what_a_sampler_notes_down_is_kept(optuna, tmp_path):
    """CMA-ES keeps its covariance in the attributes of trials."""

    class Notes(optuna.samplers.RandomSampler):
        def before_trial(self, study, trial):
            before = study.get_trials(deepcopy=False)[:-1]
            notes = [t.system_attrs.get("count", 0) for t in before]
            study._storage.set_trial_system_attr(
                trial._trial_id, "count", max(notes, default=0) + 1
            )

    def build():
        return search.OptunaOracle(
            "val_loss", 6, seed=0, hyperparameters=bowl(), sampler=Notes
        )

    drive(attach(build(), tmp_path), score_bowl, most=4)
    resumed = resume(build(), tmp_path)
    drive(resumed, score_bowl)
    counts = [notes["count"] for notes in resumed._system_attrs.values()]
    assert counts == [1, 2, 3, 4, 5]  # The first trial is the default.


def test_a_gaussian_process_finds_the_bowl(optuna):
    pytest.importorskip("torch")
    pytest.importorskip("scipy")
    hp = space(x=("Float", -1.0, 1.0))
    oracle = search.OptunaOracle("val_loss", 14, seed=0, hyperparameters=hp)
    scores = quick(oracle, lambda values: (values["x"] - 0.3) ** 2, 14)
    assert max(scores[-2:]) < 1e-3 < min(scores[:5])


def test_cma_es_finds_the_bowl(optuna, tmp_path):
    pytest.importorskip("cmaes")

    def build():
        return search.OptunaOracle(
            "val_loss",
            60,
            seed=0,
            hyperparameters=branin_space(),
            sampler="cmaes",
        )

    whole = attach(build(), tmp_path / "whole")
    tried = drive(whole, branin)
    assert min(map(branin, tried)) < 1.0
    drive(attach(build(), tmp_path / "half"), branin, most=30)
    resumed = resume(build(), tmp_path / "half")
    drive(resumed, branin)
    assert history(resumed) == history(whole)


def test_conditions_reach_optuna(optuna, tmp_path):
    from search.oracle_tools import assert_valid_nested, nested

    oracle = search.OptunaOracle(
        "val_loss",
        25,
        seed=0,
        hyperparameters=nested(),
        sampler=lambda seed: optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=3, multivariate=False
        ),
    )

    def score(values):
        assert_valid_nested(values)
        return values["size"] + (values["net"] == "mlp")

    assert len(drive(attach(oracle, tmp_path), score)) == 25


def test_a_missing_extra_raises(optuna, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cmaes", None)
    with pytest.raises(ImportError, match="OptunaOracle needs cmaes") as error:
        search.OptunaOracle("val_loss", sampler="cmaes")
    assert 'pip install "keras-netopt[optuna]"' in str(error.value)
    with pytest.raises(ValueError, match="Argument `sampler` must be one of"):
        search.OptunaOracle("val_loss", sampler="magic")
