"""Values are read where they are."""

import keras
import numpy as np
import pytest

from keras_netopt.graph.read_value import read_value, to_numpy

DTYPES = ["float32", "float16", "bfloat16", "int8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_is_that_of_keras(dtype):
    array = [[1.0, 0.0], [3.0, 4.0]]
    variable = keras.Variable(array, dtype=dtype, trainable=False)
    for value in (variable, variable.value, np.ones(3, "int64")):
        found = read_value(value)
        expected = np.asarray(keras.ops.convert_to_numpy(value))
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes()


def test_a_value_is_not_copied():
    variable = keras.Variable(np.ones((30, 40), "float32"))
    assert np.shares_memory(read_value(variable), read_value(variable))
    copy = to_numpy(variable)
    assert not np.shares_memory(copy, read_value(variable))
    copy[:] = 2.0
    assert (read_value(variable) == 1).all()


def test_a_value_that_was_read_does_not_change():
    variable = keras.Variable(np.ones((30, 40), "float32"))
    before = read_value(variable)
    variable.assign(np.zeros((30, 40), "float32"))
    kept = keras.backend.backend() != "torch"  # It shares the memory there.
    assert before.all() == kept
