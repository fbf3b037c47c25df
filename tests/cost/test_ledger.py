import keras
import numpy as np

from keras_netopt.cost import Ledger


def model_with_loss():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5)])
    model.compile("sgd", "mse")
    return model


def test_a_sample_costs_three_passes():
    ledger = Ledger()
    ledger.add(samples=4, macs=10)
    ledger.add(samples=1, macs=100)
    assert ledger.spent == 3 * (40 + 100)


def test_settling_twice_books_once():
    model, ledger = model_with_loss(), Ledger(spent=7)
    ledger.begin_epoch(model)
    model.train_on_batch(np.ones((6, 8)), np.ones((6, 5)))
    ledger.settle(model)
    ledger.settle(model)
    assert ledger.spent == 7 + 3 * 6 * 40


def test_what_runs_after_the_epoch_is_not_training():
    model, ledger = model_with_loss(), Ledger()
    ledger.begin_epoch(model)
    model.train_on_batch(np.ones((6, 8)), np.ones((6, 5)))
    ledger.end_epoch(model)
    model.evaluate(np.ones((90, 8)), np.ones((90, 5)), verbose=0)
    ledger.settle(model)
    assert ledger.spent == 3 * 6 * 40


def test_a_model_without_a_loss_is_not_counted():
    model, ledger = model_with_loss(), Ledger()
    model = keras.Model(model.inputs, model.outputs)
    ledger.begin_epoch(model)
    ledger.settle(model)
    assert ledger.spent == 0
