"""Edits copy one weight at a time, and neither slots nor whole models."""

import gc
import tracemalloc

import keras
import numpy as np
import pytest

from keras_netopt import callbacks, surgery

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


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="others have one list of arrays"
)
def test_growth_in_fit_frees_the_arrays_of_the_last_step():
    """The trainer has them in its state and in variables of `fit`."""
    import jax

    hidden = [layers.Dense(70, name=f"a{k}") for k in range(4)]
    net = keras.Sequential([keras.Input((70,)), *hidden, layers.Dense(2)])
    net.compile("adam", "mse")
    actions = [surgery.Widen(f"a{k}", add=5) for k in range(3)]
    growing = callbacks.Growing(actions, {"1ep": [0, 1, 2]}, end=1.0, verbose=0)
    grow, left = growing.on_epoch_begin, []

    def on_epoch_begin(epoch, logs=None):
        grow(epoch, logs)
        gc.collect()
        variables = [*net.variables, *net.optimizer.variables]
        known = {one.value.unsafe_buffer_pointer() for one in variables}
        left.append(
            sum(
                one.size > 70 * 60 and one.unsafe_buffer_pointer() not in known
                for one in jax.live_arrays()
            )
        )

    growing.on_epoch_begin = on_epoch_begin
    x, y = np.zeros((8, 70), "float32"), np.zeros((8, 2), "float32")
    net.fit(x, y, batch_size=4, epochs=2, verbose=0, callbacks=[growing])

    assert net.layers[0].units == 75
    assert left == [0, 0]
