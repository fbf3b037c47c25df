"""Edits copy one weight at a time, and neither slots nor whole models."""

import tracemalloc

import keras
import pytest

from keras_netopt import surgery

layers = keras.layers
EDITS = {
    "widen": lambda net: surgery.widen(net, "a2", add=8),
    "prune": lambda net: surgery.prune_channels(net, 0.5),
    "dry run": lambda net: surgery.prune_channels(net, 0.5, dry_run=True),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_needs_a_part_of_the_model_on_the_host(name):
    names = [f"a{k}" for k in range(10)]
    hidden = [layers.Dense(800, name=name) for name in names]
    net = keras.Sequential([keras.Input((800,)), *hidden, layers.Dense(2)])
    net.compile("adam", "mse")
    net.optimizer.build(net.trainable_variables)
    size = 4 * net.count_params()
    tracemalloc.start()
    try:
        EDITS[name](net)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * size
