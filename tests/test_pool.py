"""The pool lends models that behave as if they had just been built."""

import keras
import numpy as np
import pytest
from pool import Pool, read

from keras_netopt import surgery
from keras_netopt.callbacks import Pruning, SelectiveBackprop
from keras_netopt.training import MaskStore

BACKEND = keras.backend.backend()
# On torch the first `fit` of a model draws more numbers than the next ones.
DROPOUT = 0.0 if BACKEND == "torch" else 0.2


@pytest.fixture
def pool(make_mlp, toy_data):
    def trace(model):
        model.fit(*toy_data, batch_size=16, verbose=0)

    return Pool(lambda: make_mlp(dropout=DROPOUT, metrics=["accuracy"]), trace)


def train(model, data, *callbacks):
    history = model.fit(
        *data,
        batch_size=16,
        epochs=2,
        # Elsewhere the first `fit` of a model draws one order more.
        shuffle=BACKEND == "tensorflow",
        verbose=0,
        callbacks=list(callbacks),
    )
    variables = [*model.variables, *model.optimizer.variables]
    return history.history, [read(v) for v in variables]


def test_a_lent_model_trains_as_a_new_one(pool, make_mlp, toy_data):
    """Order of samples, dropout, metrics and slots are the same."""
    histories, states = [], []
    lent = []
    for _ in range(2):
        with pool.lend() as model:
            lent.append(model)
            history, state = train(model, toy_data)
            model._initial_epoch = 1  # As `BackupAndRestore` does.
            model.optimizer.learning_rate = 1.0
            train(model, toy_data)
        histories.append(history)
        states.append(state)
    new, expected = train(
        make_mlp(dropout=DROPOUT, metrics=["accuracy"]), toy_data
    )

    assert lent[0] is lent[1]
    assert histories == [new, new]
    for state in states:
        for mine, theirs in zip(state, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_models_that_are_lent_together_are_two(pool):
    with pool.lend() as one, pool.lend() as other:
        assert one is not other
        for mine, theirs in zip(
            one.get_weights(), other.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)


def cut(model, data):
    surgery.remove(model, {"hidden": [0, 1]})


def mask(model, data):
    train(model, data, Pruning(0.5))


def compile_again(model, data):
    model.compile("sgd", model.loss)


def trace_again(model, data):
    model.make_train_function(force=True)


def freeze(model, data):
    model.get_layer("hidden").trainable = False


def override(model, data):
    model.train_step = lambda *unused: {}


@pytest.mark.parametrize(
    "change", [cut, mask, compile_again, trace_again, freeze, override]
)
def test_a_changed_model_is_not_lent_again(change, pool, toy_data):
    pool.trace = lambda model: model.make_train_function()
    with pool.lend() as model:
        change(model, toy_data)
    with pool.lend() as other:
        assert other is not model
        assert other.get_layer("hidden").units == 16


def test_what_callbacks_attach_to_a_model_is_removed(pool, toy_data):
    with pool.lend() as model:
        train(model, toy_data, SelectiveBackprop(0.5))
        names = set(vars(model))
    with pool.lend() as again:
        assert again is model
        assert not [n for n in vars(again) if n.startswith("_netopt")]
        assert [n for n in names if n.startswith("_netopt")]


def test_masks_of_the_pool_are_ones_again(make_mlp, toy_data):
    def trace(model):
        kernel = model.get_layer("hidden").kernel
        MaskStore.attach(model, {"hidden/kernel": kernel})
        model.fit(*toy_data, batch_size=16, verbose=0)

    pool = Pool(make_mlp, trace)
    for _ in range(2):
        with pool.lend() as model:
            function = model.train_function
            assert MaskStore.of(model).masks()["hidden/kernel"].all()
            assert not MaskStore.of(model).labels
            train(model, toy_data, Pruning(0.5, include="hidden"))
            assert not MaskStore.of(model).masks()["hidden/kernel"].all()
            assert model.train_function is function
