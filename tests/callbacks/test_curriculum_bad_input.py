"""Curriculum says what has no effect and refuses what cannot work."""

import warnings

import keras
import numpy as np
import pytest
from callback_tools.curriculum import SCORES, told

from keras_netopt import curriculum as engine
from keras_netopt.callbacks import Curriculum
from keras_netopt.schedules import Constant, Linear
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning


def test_nothing_happens_on_other_data(make, make_mlp, toy_data):
    x, y = toy_data
    curriculum = make()
    with pytest.warns(NoEffectWarning) as records:
        make_mlp().fit(x, y, epochs=3, verbose=0, callbacks=[curriculum])
    (text,) = told(NoEffectWarning, records)
    assert text.startswith("Curriculum: `fit` trains on other data")
    assert "curriculum.dataset" in text


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ({"pacing": Constant(1.0, initial=1.0)}, "Give `pacing` an `initial`"),
        ({"difficulty": np.ones(64)}, "Choose another `difficulty`"),
    ],
)
def test_no_effect_is_told_once(changed, remedy, make, train):
    with pytest.warns(NoEffectWarning) as records:
        train(make(**changed))
    (text,) = told(NoEffectWarning, records)
    assert remedy in text


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"difficulty": "loss"},
        {"ordering": "shuffle", "pacing": Constant(1.0, initial=1.0)},
        {"ordering": "random"},
        {"ordering": engine.SelfPaced("linear")},
        {"ordering": engine.OnePass(4)},
        {"pacing": "step"},
    ],
)
def test_ordinary_runs_warn_of_nothing(changed, make, train):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train(make(**changed))


def test_dropping_for_good_is_warned_of(make, train):
    pacing = Linear(initial=0.3, final=0.6, begin=0.0, end=0.5)
    with pytest.warns(NotIntendedUseWarning, match="40% of the samples"):
        train(make(pacing=pacing))


def test_class_weights_of_fit_are_warned_of(make, train):
    with pytest.warns(NotIntendedUseWarning, match="dataset.class_weight="):
        train(make(), fit={"class_weight": {0: 2.0}})


@pytest.mark.parametrize(
    ("fit", "text"),
    [
        ({"y": np.zeros(64)}, "`y` must go to `Curriculum`"),
        ({"sample_weight": np.ones(64)}, "`sample_weight` must go to"),
        ({"steps_per_epoch": 3}, "`steps_per_epoch` must be given to"),
    ],
)
def test_what_fit_gets_beside_the_data_set_is_refused(fit, text, make, train):
    with pytest.raises(ValueError, match=rf"Argument {text}.*Received: "):
        train(make(), fit=fit)


def test_less_than_a_batch_in_play_is_refused(make, train):
    pacing = Linear(initial=0.05, final=1.0, begin=0.0, end=0.5)
    with pytest.raises(ValueError, match="at least a batch of 8.*keeps 4 of"):
        train(make(pacing=pacing))


def test_a_replaced_data_set_is_refused(make, train):
    curriculum = make()
    old = curriculum.dataset(8)
    curriculum.dataset(16)
    with pytest.raises(ValueError, match="returned last.*an older one"):
        train(curriculum, data=old)


def test_a_difficulty_by_loss_needs_targets(toy_data):
    with pytest.raises(ValueError, match="`y` must hold targets.*y=None"):
        Curriculum(toy_data[0])
    Curriculum(toy_data[0], difficulty=SCORES)


def test_scores_that_never_differ_are_told_in_the_end(make, train):
    """Those of a model may be alike at first."""
    curriculum = make(x=np.zeros((64, 8)), y=np.zeros(64), difficulty="loss")
    with pytest.warns(NoEffectWarning) as records:
        train(curriculum)
    (text,) = told(NoEffectWarning, records)
    assert "nothing tells easy from hard" in text


def test_a_loss_without_values_for_samples_is_refused(make, make_mlp):
    def mean(y, predicted):
        return keras.ops.mean(predicted)

    model = make_mlp()
    model.compile("sgd", mean)
    curriculum = make(difficulty="loss", warmup="0ep")
    with pytest.raises(ValueError, match="one value per sample"):
        model.fit(curriculum.dataset(8), verbose=0, callbacks=[curriculum])
