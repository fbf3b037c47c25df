"""Limits, and the order of files; no network is trained."""

import pytest
from search.morphism import networks
from search.morphism.networks import make, run

from keras_netopt import search
from keras_netopt.search.morphism.child_trainer import ChildTrainer, Training
from keras_netopt.search.morphism.journal import FILE, Journal
from keras_netopt.warnings import NoEffectWarning


def fake_training(trainer, model, epochs, seed):
    """Larger networks are better."""
    return Training(({"val_loss": 1.0 / model.count_params()},), 9, epochs, 0.0)


def test_a_search_without_an_allowed_mutation_ends(tmp_path, monkeypatch):
    """The only child of 65 weights has 97, and none of its own keep 100."""
    monkeypatch.setattr(ChildTrainer, "train", fake_training)
    options = {
        "operations": ["widen"],
        "factors": [1.5],
        "constraints": search.MaxParams(100),
        "population_size": 1,
        "sample_size": 1,
        "max_trials": 8,
        "controls": 1,
        "directory": tmp_path,
    }
    for _ in range(2):  # Resumed, it ends at the same trial.
        tuner = search.Morphism(
            networks.build_sequential(), "val_loss", **options
        )
        with pytest.warns(NoEffectWarning, match="keeps the limits"):
            run(tuner)
    children = [one for one in tuner.trials if one.role == "child"]
    assert children and len(children) < 8
    assert "The search ended early: no network" in str(tuner.report())
    ends = [one for one in tuner.trials if one.role == "random"]
    assert len(ends) == len(tuner.report().lineage) - 1


def test_another_network_gets_the_child_of_one_that_cannot_change(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(ChildTrainer, "train", fake_training)
    tuner = make(
        networks.build_sequential(),
        tmp_path,
        operations=["widen"],
        factors=[1.5],
        constraints=search.MaxParams(100),
        population_size=2,
        sample_size=2,
    )
    run(tuner)
    assert [one.parent for one in tuner.trials[1:]] == [0, 0]


def test_a_slow_cost_is_measured_within_the_others_and_kept(
    tmp_path, monkeypatch
):
    measured, kept = [], []

    class Slow(search.MaxParams):
        name = "slow"
        is_slow = True

        def measure(self, model):
            measured.append(model.count_params())
            return 1.0

        def keep_costs(self, path):
            kept.append(path)

    monkeypatch.setattr(ChildTrainer, "train", fake_training)
    limits = [Slow(2), search.MaxParams(100)]
    factors = [1.5, 4.0]
    run(
        make(
            networks.build_sequential(),
            tmp_path,
            constraints=limits,
            operations=["widen"],
            factors=factors,
            population_size=3,
        )
    )
    assert measured and max(measured) <= 100
    assert kept == [f"{tmp_path / 'untitled_project'}/measured_costs.json"]


def test_limits_on_time_and_progress_end_a_search(tmp_path, monkeypatch):
    monkeypatch.setattr(ChildTrainer, "train", fake_training)
    parent = networks.build_sequential()
    tuner = make(parent, tmp_path, max_time=1e-9)
    run(tuner)
    assert len(tuner.trials) == 1


def test_the_journal_names_a_trial_only_once_its_file_is_there(
    tmp_path, monkeypatch
):
    tuner = make(networks.build_sequential(), tmp_path)

    def stop(journal, trial):
        assert (tuner.project_dir / trial.file).exists()
        raise RuntimeError("killed")

    monkeypatch.setattr(ChildTrainer, "train", fake_training)
    monkeypatch.setattr(Journal, "add", stop)
    with pytest.raises(RuntimeError, match="killed"):
        run(tuner)
    assert not (tuner.project_dir / FILE).exists()
