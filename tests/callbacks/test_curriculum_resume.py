"""Curriculum copied, pickled and resumed."""

import copy

import keras
import numpy as np
import pytest
from callback_tools.curriculum import SCORES

from keras_netopt import curriculum as engine
from keras_netopt.training import NotIntendedUseWarning


def test_copies_plan_for_the_data_of_the_original(make, train):
    curriculum = make()
    copied = copy.deepcopy(curriculum)
    train(copied, data=curriculum.dataset(8))
    assert len(copied.sample_counts()[0]) == 4
    assert len(curriculum.sample_counts()[0]) == 0
    again = copy.deepcopy(copied)
    assert len(again.sample_counts()[0]) == 0


@pytest.mark.no_backend
def test_pickled_settings_make_an_equal_callback(make):
    import pickle

    curriculum = make()
    again = pickle.loads(pickle.dumps(curriculum))
    assert again.get_config() == curriculum.get_config()


@pytest.mark.no_backend
def test_saved_scores_are_used_again(make, tmp_path):
    path = tmp_path / "scores.npz"
    engine.save_scores(path, make().scores)
    again = make(difficulty=engine.load_scores(path))
    np.testing.assert_array_equal(again.scores, SCORES)
    with pytest.raises(ValueError, match="must end in '.npz'"):
        engine.save_scores(tmp_path / "scores.txt", SCORES)
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ValueError, match="written by `save_scores`"):
        engine.load_scores(tmp_path / "other.npz")


def _half(lent_mlp, path, curriculum, **fit):
    model = lent_mlp()
    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: load.model.load_weights(path)
    )
    model.optimizer.build(model.trainable_variables)
    model.fit(
        curriculum.dataset(8),
        epochs=4,
        initial_epoch=2,
        verbose=0,
        callbacks=[load, curriculum],
    )
    return model


@pytest.fixture
def saved(make, lent_mlp, tmp_path):
    path = tmp_path / "half.weights.h5"
    curriculum = make(difficulty="loss")
    model = lent_mlp()
    save = keras.callbacks.ModelCheckpoint(
        path, save_weights_only=True, save_freq="epoch"
    )
    model.fit(
        curriculum.dataset(8),
        epochs=2,
        verbose=0,
        callbacks=[curriculum, save],
    )
    return path


def test_a_resumed_run_restores_sample_counts(saved, make, lent_mlp):
    curriculum = make(difficulty="loss")
    _half(lent_mlp, saved, curriculum)
    assert curriculum.sample_counts()[0].tolist() == [0, 1, 2, 3]
    assert curriculum.report().sample_counts.sum() == 4 * 64


DIFFICULTIES = {
    "loss": lambda: "loss",
    "forgetting": lambda: "forgetting",
    "el2n": lambda: engine.EL2N(runs=1),
}


@pytest.mark.parametrize("name", DIFFICULTIES)
def test_scores_of_a_resumed_run_are_those_of_a_whole_one(
    name, make, lent_mlp, tmp_path
):
    """Counts and scores cannot be computed from the weights."""
    path = tmp_path / "half.weights.h5"
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (
            epoch == 1 and save.model.save_weights(path)
        )
    )
    difficulty = DIFFICULTIES[name]
    whole = make(difficulty=difficulty(), scoring_begin="0ep")
    model = lent_mlp()
    model.fit(whole.dataset(8), epochs=4, verbose=0, callbacks=[whole, save])
    resumed = make(difficulty=difficulty(), scoring_begin="0ep")
    other = _half(lent_mlp, path, resumed)

    np.testing.assert_array_equal(resumed.scores, whole.scores)
    np.testing.assert_array_equal(
        resumed.sample_counts()[1], whole.sample_counts()[1]
    )
    for mine, theirs in zip(
        other.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("change", ["seed", "samples"])
def test_state_of_another_run_raises(change, saved, make, lent_mlp, toy_data):
    x, y = toy_data
    changed = {
        "seed": {"seed": 1},
        "samples": {"x": x[:48], "y": y[:48]},
    }[change]
    with pytest.raises(ValueError, match="saved state.*Received: "):
        _half(lent_mlp, saved, make(**{"difficulty": "loss", **changed}))


def test_scores_that_differ_from_the_saved_ones_raise(make, lent_mlp, tmp_path):
    path = tmp_path / "half.weights.h5"
    curriculum, model = make(), lent_mlp()
    model.fit(
        curriculum.dataset(8), epochs=2, verbose=0, callbacks=[curriculum]
    )
    model.save_weights(path)
    with pytest.raises(ValueError, match="scores of the saved.*Received: "):
        _half(lent_mlp, path, make(difficulty=-SCORES))
    _half(lent_mlp, path, make())


def test_a_checkpoint_in_the_middle_of_an_epoch_warns(make, lent_mlp, tmp_path):
    path = tmp_path / "middle.weights.h5"
    curriculum, model = make(), lent_mlp()
    save = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: (
            save.model.save_weights(path) if batch == 3 else None
        )
    )
    model.fit(
        curriculum.dataset(8), epochs=3, verbose=0,
        callbacks=[curriculum, save],
    )  # fmt: skip
    with pytest.warns(NotIntendedUseWarning, match="middle of epoch 2"):
        _half(lent_mlp, path, make())
