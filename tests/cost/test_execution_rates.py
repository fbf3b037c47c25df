"""The mean cost of layers that skip blocks."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.callbacks import ComputeTracker
from keras_netopt.cost import summarize
from keras_netopt.layers import (
    LayerDrop,
    MixtureOfDepths,
    SkipGate,
    StochasticDepth,
)

SHAPE = (10, 4)
DENSE = 10 * 4 * 4  # A Dense(4) on every token.
HEAD = 10 * 4 * 2


def model_with(layer):
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, layers.Dense(2)(layer(inputs)))


def both(layer):
    model = model_with(layer)
    reports = summarize(model), summarize(model, training=True)
    assert not any(report.unknown for report in reports)
    return tuple(report.macs - HEAD for report in reports)


def test_dropped_blocks_count_at_their_survival_rate():
    for mode, share in (("batch", 0.75), ("sample", 1.0)):
        layer = StochasticDepth(layers.Dense(4), 0.25, mode=mode)
        assert both(layer) == (DENSE, share * DENSE)
    stack = LayerDrop([layers.Dense(4), layers.Dense(4)], 0.25)
    assert both(stack) == (2 * DENSE, 1.5 * DENSE)


def test_rates_of_nested_blocks_multiply():
    inner = StochasticDepth(layers.Dense(4), 0.5, mode="batch")
    block = keras.Sequential([layers.Dense(4), inner])
    layer = StochasticDepth(block, 0.5, mode="batch")

    assert both(layer) == (2 * DENSE, DENSE // 2 + DENSE // 4)


def test_tokens_routed_around_cost_the_router_only():
    layer = MixtureOfDepths(layers.Dense(4), 0.25)
    expected = 3 * 4 * 4 + 10 * 4

    assert both(layer) == (expected, expected)


def test_gates_count_and_masks_save_no_macs():
    gate = 4 * 10 + 10
    for inference, share in (("mask", 1.0), ("cond", 0.25)):
        layer = SkipGate(layers.Dense(4), inference=inference)
        layer.build((None, *SHAPE))
        layer.execution_rate.assign(0.25)
        assert both(layer) == (share * DENSE + gate, DENSE + gate)


def test_the_counter_follows_the_rates():
    layer = StochasticDepth(layers.Dense(4), 0.0, mode="batch")
    model = model_with(layer)
    model.compile("sgd", "mse")
    x = np.zeros((8, *SHAPE), "float32")
    counter = ComputeTracker()
    spent = [0]
    for rate in (0.0, 0.5):
        layer.rate.assign(rate)
        model.fit(x, np.zeros((8, 10, 2)), verbose=0, callbacks=[counter])
        spent.append(counter.spent())

    assert np.diff(spent).tolist() == [
        3 * 8 * (DENSE + HEAD),
        3 * 8 * (DENSE // 2 + HEAD),
    ]


def test_training_must_be_a_bool():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(TypeError, match="Argument `training` must be True"):
        summarize(model, training="yes")
