"""Masked entries become +0.0, in the memory of the variable where possible."""

import keras
import numpy as np
import pytest
from training.mask_tools import half_masks, kernels

from keras_netopt.training import MaskStore
from keras_netopt.training.weight_store import read, view
from keras_netopt.training.zero_masked import list_owned, zero_masked

MASK = np.array([[True, False, True], [False, True, True]])
DTYPES = ["float16", "bfloat16", "float32"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_entries_become_positive_zero(dtype):
    values = np.array([[1.5, -2.0, -3.0], [np.nan, np.inf, -0.0]])
    variable = keras.Variable(values, dtype=dtype)
    zero_masked(variable, keras.Variable(MASK, dtype="bool", trainable=False))
    found = np.asarray(read(variable), "float32")
    expected = np.where(MASK, values, 0.0)
    np.testing.assert_array_equal(found, expected)
    assert not np.signbit(found[~MASK]).any()
    assert np.signbit(found[1, 2])


@pytest.mark.parametrize("dtype", DTYPES)
def test_views_equal_copies(dtype):
    variable = keras.Variable(np.arange(6.0).reshape(2, 3), dtype=dtype)
    copied, seen = read(variable), view(variable)
    assert seen.dtype == copied.dtype
    np.testing.assert_array_equal(
        seen.astype("float32"), copied.astype("float32")
    )
    variable.assign(variable + 1)
    np.testing.assert_array_equal(
        copied.astype("float32"), np.arange(6.0).reshape(2, 3)
    )


class AssignMasks(keras.callbacks.Callback):
    """Assigns masks after a batch, and says where the weights lie."""

    def __init__(self, store):
        super().__init__()
        self.store = store
        self.moved = []

    def on_train_batch_end(self, batch, logs=None):
        kernel = self.model.layers[0].kernel  # `self.model` syncs.
        before = kernel.value.unsafe_buffer_pointer()
        self.store.assign(half_masks(self.store))
        self.moved.append(kernel.value.unsafe_buffer_pointer() != before)


def fit(model, callback):
    x = np.random.default_rng(0).normal(size=(24, 8)).astype("float32")
    y = np.arange(24) % 3
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[callback])


@pytest.mark.backend("jax")
def test_fit_on_jax_needs_no_second_copy(make_mlp):
    model = make_mlp()
    store = MaskStore.attach(model, kernels(model))
    callback = AssignMasks(store)
    fit(model, callback)
    assert callback.moved == [False] * 6


@pytest.mark.backend("jax")
def test_arrays_that_others_hold_stay(make_mlp):
    """Two variables share an array after an assignment."""

    class Share(AssignMasks):
        def on_train_batch_end(self, batch, logs=None):
            slot = self.model.optimizer.variables[2]
            self.model.layers[0].kernel.assign(slot)
            owned = list_owned(self.model, [self.model.optimizer])
            assert id(slot) not in owned
            assert id(self.model.layers[0].bias) in owned
            self.store.assign(half_masks(self.store))
            read(slot)

    model = make_mlp()
    store = MaskStore.attach(model, kernels(model))
    fit(model, Share(store))


@pytest.mark.backend("jax")
def test_arrays_are_not_given_up_outside_fit(make_mlp):
    model = make_mlp()
    store = MaskStore.attach(model, kernels(model))
    held = model.layers[0].kernel.value
    store.assign(half_masks(store))
    assert not held.is_deleted()
