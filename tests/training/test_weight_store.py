"""Values of variables as arrays: copies may be written, views may not."""

import keras
import numpy as np

from keras_netopt.training import weight_store
from keras_netopt.training.weight_store import read


def make_variable():
    values = np.arange(12.0, dtype="float32").reshape(4, 3)
    return keras.Variable(values), values


def test_a_copy_may_be_written():
    variable, values = make_variable()
    found = read(variable)
    found += 1
    np.testing.assert_array_equal(read(variable), values)


def test_an_array_that_may_not_be_written_is_copied(monkeypatch):
    """JAX keeps the array that it joins from shards."""
    kept = np.ones(3)
    kept.setflags(write=False)
    monkeypatch.setattr(weight_store, "view", lambda variable: kept)
    found = read(None)
    found += 1
    assert kept.max() == 1
