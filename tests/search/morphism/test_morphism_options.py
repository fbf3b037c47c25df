"""Options of a search, and what happens when a training fails."""

import keras
from search.morphism import networks
from search.morphism.networks import make, run

from keras_netopt import search


def test_subclasses_and_layers_of_users_are_trained(tmp_path):
    parent = networks.build_mlp(networks.OwnStep, [networks.Scaled()])
    tuner = make(parent, tmp_path, strategy="hill_climbing")
    run(tuner, epochs=2, validation_freq=3)
    assert all("val_loss" not in one.logs[0] for one in tuner.trials)
    model = tuner.load_model(2)
    assert isinstance(model, networks.OwnStep)
    assert any(isinstance(one, networks.Scaled) for one in model.layers)
    assert tuner.trials[1].title == "no change"
    assert tuner.trials[2].mutations


def test_constraints_hold_and_children_from_scratch_forget(tmp_path):
    parent = networks.build_mlp()
    limit = search.MaxParams(130)
    tuner = make(
        parent,
        tmp_path,
        constraints=[limit],
        inherit_weights=False,
        mutations_per_child=2,
        parent_epochs=0,
    )
    run(tuner, epochs=1)
    assert all(one.costs["params"] == one.params for one in tuner.trials)
    assert all(one.params <= 130 for one in tuner.trials)
    assert tuner.trials[0].spent == 0
    for trial in tuner.trials[1:]:
        assert len(trial.mutations) == 2
        assert int(tuner.load_model(trial).optimizer.iterations) == 1


def test_a_diverged_child_fails_and_the_search_goes_on(tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if self.model.count_params() != 65:
                logs["val_loss"] = float("nan")

    parent = networks.build_sequential()
    assert parent.count_params() == 65
    tuner = make(parent, tmp_path, controls=1)
    run(tuner, epochs=1, callbacks=[Spoil()])
    statuses = [one.status for one in tuner.trials]
    assert statuses == ["COMPLETED", "FAILED", "FAILED"]
    assert tuner.report().best == 0
    assert "No child is better" in str(tuner.report())
