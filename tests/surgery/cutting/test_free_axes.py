"""Budgets of MACs where the length of the inputs is free."""

import keras
import numpy as np
import pytest

from keras_netopt import cost, surgery
from keras_netopt.callbacks import ChannelPruning, Growing
from keras_netopt.surgery.cutting.measure_milliseconds import (
    measure_milliseconds,
)

layers = keras.layers
LENGTH = 20
X = np.random.default_rng(0).integers(0, 9, (16, LENGTH))
Y = np.zeros((16, 2), "float32")


def text_model(first=None):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None,), dtype="int32", name=first)
    x = layers.Embedding(9, 16)(inputs)
    x = layers.Conv1D(32, 3, padding="same", name="one")(x)
    x = layers.Conv1D(32, 3, padding="same", name="two")(x)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    outputs = layers.Dense(2)(x)
    model = keras.Model({first: inputs} if first else inputs, outputs)
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def true_macs(model):
    return cost.summarize(model, input_shape=(None, LENGTH)).macs


def batches():
    while True:
        yield X[:8], Y[:8]


def fit(model, callback, x=X, **options):
    if x is X:
        options = {"y": Y, "batch_size": 8}
    options["shuffle"] = False
    model.fit(x, epochs=2, verbose=0, callbacks=[callback], **options)


@pytest.mark.parametrize("first", [None, "tokens"])
def test_a_budget_is_kept_at_the_given_length(first):
    model = text_model(first)
    before = true_macs(model)
    report = surgery.prune_channels(
        model,
        0.5,
        resource="macs",
        input_shape=(None, LENGTH),
        min_channels=1,
    )
    assert 0.45 < true_macs(model) / before <= 0.5
    assert (report.before.macs, report.after.macs) == (before, true_macs(model))
    # The length is not remembered.
    assert cost.summarize(model).unknown


def test_a_budget_without_a_length_is_refused():
    model = text_model()
    weights = model.get_weights()
    with pytest.raises(
        ValueError, match=r"free axes.*`input_shape=\(None, 128"
    ):
        surgery.prune_channels(model, 0.5, resource="macs")
    with pytest.raises(ValueError, match="must hold 1 shapes|must hold shapes"):
        surgery.prune_channels(
            model, 0.5, resource="macs", input_shape=[(None, 3), (None, 4)]
        )
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("source", ["array", "given", "tf.data"])
def test_fit_counts_at_the_length_of_its_data(source):
    model = text_model()
    before = true_macs(model)
    shape = (None, LENGTH) if source == "given" else None
    pruning = ChannelPruning(
        0.5,
        resource="macs",
        iterative_steps=1,
        min_channels=1,
        input_shape=shape,
    )
    if source == "array":
        fit(model, pruning)
    elif source == "given":
        fit(model, pruning, batches(), steps_per_epoch=2)
    else:
        tf = pytest.importorskip("tensorflow")
        fit(model, pruning, tf.data.Dataset.from_tensor_slices((X, Y)).batch(8))
    assert 0.45 < true_macs(model) / before <= 0.5
    assert cost.summarize(model).unknown


@pytest.mark.parametrize(
    "callback",
    [
        lambda: ChannelPruning(0.5, resource="macs"),
        lambda: ChannelPruning(0.5, resource="latency"),
        lambda: Growing([surgery.Widen("hidden", add=1)], max_macs=10**6),
    ],
)
def test_fit_refuses_data_of_unknown_length_before_training(callback):
    model = text_model()
    with pytest.raises(ValueError, match="Pass the shape of a typical input"):
        fit(model, callback(), batches(), steps_per_epoch=2)
    assert int(model.optimizer.iterations) == 0


@pytest.mark.filterwarnings("ignore:Growing")
@pytest.mark.parametrize(("spare", "units"), [(0, 16), (10**4, 32)])
def test_a_limit_of_growth_counts_at_the_length_of_the_data(spare, units):
    model = text_model()
    limit = true_macs(model) + spare
    action = surgery.Widen("hidden", factor=2)
    fit(model, Growing([action], max_macs=limit, verbose=0))
    assert model.get_layer("hidden").units == units


def test_reports_say_where_macs_are_unknown():
    model = text_model()
    text = str(surgery.prune_channels(model, 0.25, min_channels=1))
    assert ">= " in text.partition("macs")[2].partition("\n")[0]
    assert surgery.ModelSize.of(model).is_lower_bound
    assert surgery.ModelSize.of(model).describe_macs().startswith(">= ")


def test_the_latency_of_a_subclassed_model_is_measured():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.ones((2, 3), "float32"))
    assert measure_milliseconds(model) > 0
