"""Warnings and errors of Curriculum."""

import warnings

import keras
import numpy as np
import pytest
from callback_tools.curriculum import SCORES, messages_of

from keras_netopt import curriculum as engine
from keras_netopt.callbacks import Curriculum
from keras_netopt.schedules import Constant, Linear
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning


def test_training_on_other_data_warns(make, lent_mlp, toy_data):
    x, y = toy_data
    curriculum = make()
    with pytest.warns(NoEffectWarning) as records:
        lent_mlp().fit(x, y, epochs=3, verbose=0, callbacks=[curriculum])
    (text,) = messages_of(NoEffectWarning, records)
    assert text.startswith("Curriculum: `fit` trains on other data")
    assert "curriculum.dataset" in text


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ({"pacing": Constant(1.0, initial=1.0)}, "Give `pacing` an `initial`"),
        ({"difficulty": np.ones(64)}, "Choose another `difficulty`"),
    ],
)
def test_no_effect_warns_once(changed, remedy, make, train):
    with pytest.warns(NoEffectWarning) as records:
        train(make(**changed))
    (text,) = messages_of(NoEffectWarning, records)
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
def test_ordinary_runs_do_not_warn(changed, make, train):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train(make(**changed))


def test_pacing_that_ends_below_one_warns(make, train):
    pacing = Linear(initial=0.3, final=0.6, begin=0.0, end=0.5)
    with pytest.warns(NotIntendedUseWarning, match="40% of the samples"):
        train(make(pacing=pacing))


def test_class_weight_of_fit_warns(make, train):
    with pytest.warns(NotIntendedUseWarning, match="dataset.class_weight="):
        train(make(), fit={"class_weight": {0: 2.0}})


@pytest.mark.parametrize(
    ("fit", "text"),
    [
        ({"y": np.zeros(64)}, "`y` must be given to `Curriculum`"),
        ({"sample_weight": np.ones(64)}, "`sample_weight` must be given to"),
        ({"steps_per_epoch": 3}, "`steps_per_epoch` must be given to"),
    ],
)
def test_arguments_of_fit_beside_the_data_set_raise(fit, text, make, train):
    with pytest.raises(ValueError, match=rf"Argument {text}.*Received: "):
        train(make(), fit=fit)


def test_less_than_a_batch_of_active_samples_raises(make, train):
    pacing = Linear(initial=0.05, final=1.0, begin=0.0, end=0.5)
    with pytest.raises(ValueError, match="at least one batch of 8.*keeps 4 of"):
        train(make(pacing=pacing))


def test_a_replaced_data_set_raises(make, train):
    curriculum = make()
    old = curriculum.dataset(8)
    curriculum.dataset(16)
    with pytest.raises(
        ValueError, match="last call of `dataset.*an earlier call"
    ):
        train(curriculum, data=old)


@pytest.mark.no_backend
def test_difficulty_by_loss_without_targets_raises(toy_data):
    with pytest.raises(ValueError, match="`y` must hold targets.*y=None"):
        Curriculum(toy_data[0])
    Curriculum(toy_data[0], difficulty=SCORES)


def test_equal_dynamic_scores_warn_in_the_last_epoch(make, train):
    """Scores of a model may be equal in the first epochs."""
    curriculum = make(x=np.zeros((64, 8)), y=np.zeros(64), difficulty="loss")
    with pytest.warns(NoEffectWarning) as records:
        train(curriculum)
    (text,) = messages_of(NoEffectWarning, records)
    assert "become active in the order of the data" in text


def test_a_loss_without_values_per_sample_raises(make, make_mlp):
    def mean(y, predicted):
        return keras.ops.mean(predicted)

    model = make_mlp()
    model.compile("sgd", mean)
    curriculum = make(difficulty="loss", scoring_begin="0ep")
    with pytest.raises(ValueError, match="one value per sample"):
        model.fit(curriculum.dataset(8), verbose=0, callbacks=[curriculum])


@pytest.mark.no_backend
def test_a_config_without_its_data_is_refused():
    x, scores = np.zeros((8, 2)), np.arange(8.0)
    config = Curriculum(x, difficulty=scores).get_config()
    message = "Argument `difficulty` must be passed with the config"
    with pytest.raises(ValueError, match=message):
        Curriculum.from_config(config, x=x)
    assert Curriculum.from_config(config, x=x, difficulty=scores)


@pytest.mark.no_backend
def test_no_data_are_a_type_error():
    for y in (None, np.zeros(4)):
        with pytest.raises(TypeError, match="^Argument `x` must be an array"):
            Curriculum(None, y)
