import keras
import numpy as np
import pytest

from keras_netopt.callbacks import ComputeTracker, Growing
from keras_netopt.cost import MacCounter, matched_epochs, summarize
from keras_netopt.surgery import Widen


def model_with_loss():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5)])
    model.compile("sgd", "mse")
    return model


def test_a_sample_costs_three_passes():
    counter = MacCounter()
    counter.add(samples=4, macs=10)
    counter.add(samples=1, macs=100)
    assert counter.spent == 3 * (40 + 100)


def test_a_second_update_adds_nothing():
    model, counter = model_with_loss(), MacCounter(spent=7)
    counter.begin_epoch(model)
    model.train_on_batch(np.ones((6, 8)), np.ones((6, 5)))
    counter.update(model)
    counter.update(model)
    assert counter.spent == 7 + 3 * 6 * 40


def test_validation_does_not_count():
    model, counter = model_with_loss(), MacCounter()
    counter.begin_epoch(model)
    model.train_on_batch(np.ones((6, 8)), np.ones((6, 5)))
    counter.end_epoch(model)
    model.evaluate(np.ones((90, 8)), np.ones((90, 5)), verbose=0)
    counter.update(model)
    assert counter.spent == 3 * 6 * 40


def test_a_model_without_a_loss_is_not_counted():
    model, counter = model_with_loss(), MacCounter()
    model = keras.Model(model.inputs, model.outputs)
    counter.begin_epoch(model)
    counter.update(model)
    assert counter.spent == 0


def test_the_same_model_matches_the_same_epochs():
    model, counter = model_with_loss(), ComputeTracker()
    x, y = np.ones((7, 8)), np.ones((7, 5))
    model.fit(x, y, batch_size=4, epochs=3, verbose=0, callbacks=[counter])
    assert matched_epochs(counter.spent(), model, samples=7) == 3


def test_a_grown_training_equals_fewer_epochs_of_the_large_model():
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(4, name="hidden"),
            keras.layers.Dense(5),
        ]
    )
    model.compile("sgd", "mse")
    small = summarize(model).macs
    growing = Growing([Widen("hidden", factor=3)], {"1ep": [0]}, verbose=0)
    model.fit(
        np.ones((6, 8)),
        np.ones((6, 5)),
        epochs=4,
        verbose=0,
        callbacks=[growing],
    )
    large = summarize(model).macs
    found = matched_epochs(growing.spent(), model, samples=6)
    assert found == pytest.approx((small + 3 * large) / large)


def test_a_model_without_macs_raises():
    model = keras.Sequential([keras.Input((8,)), keras.layers.ReLU()])
    with pytest.raises(ValueError, match="Received: model="):
        matched_epochs(10, model, samples=1)
    with pytest.raises(ValueError, match="Received: samples=0"):
        matched_epochs(10, model, samples=0)
