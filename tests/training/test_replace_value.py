"""Old values are freed where new ones tell them, and made again."""

import keras
import numpy as np
import pytest

from keras_netopt.graph.held_values import find_held, hold_value
from keras_netopt.graph.read_value import read_value, to_numpy
from keras_netopt.training import replace_value as module
from keras_netopt.training.replace_value import exchange_value, replace_value

OLD = np.array([[1.0, -0.0, np.nan], [3.0, 4.0, 5.0]], "float32")
PLACES = [(1, np.array([0, 2, 3]))]


def widened(change=0.0):
    new = np.insert(OLD, 1, 9.0, axis=1)
    new[:, 0] += change
    return new


def test_a_freed_value_is_made_again_bit_for_bit():
    variable = keras.Variable(OLD)
    held = hold_value(variable._value)
    exchange_value(variable, widened(), PLACES)
    np.testing.assert_array_equal(to_numpy(variable), widened())
    replace_value(variable, keras.ops.convert_to_numpy(held.get()))
    assert to_numpy(variable).tobytes() == OLD.tobytes()


def test_a_value_is_freed_before_the_new_one_is_made(monkeypatch):
    variable = keras.Variable(OLD)
    held = hold_value(variable._value)

    def fail(variable, value):
        raise MemoryError

    monkeypatch.setattr(module, "replace_value", fail)
    with pytest.raises(MemoryError):
        exchange_value(variable, widened(), PLACES)
    assert variable._value is None or np.size(read_value(variable)) == 0
    assert read_value(held.get()).tobytes() == OLD.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16", "int8"])
def test_a_large_value_is_replaced(dtype):
    start = np.zeros((2, 3))
    variable = keras.Variable(start, dtype=dtype, trainable=False)
    many = 2 * module.SIZE // 3
    big = np.arange(3 * many).reshape(many, 3) % 100
    big = big.astype(read_value(variable).dtype)
    replace_value(variable, big)
    assert read_value(variable).tobytes() == big.tobytes()
    # Steps read a variable without a copy.
    again = [read_value(variable), read_value(variable)]
    if dtype != "bfloat16" or keras.backend.backend() != "torch":
        assert np.shares_memory(*again)


def test_two_changes_are_taken_back_in_turn():
    variable = keras.Variable(OLD)
    held = hold_value(variable._value)
    exchange_value(variable, widened(), PLACES)
    exchange_value(variable, np.repeat(widened(), 2, axis=0), [(0, [0, 2])])
    found = np.asarray(keras.ops.convert_to_numpy(held.get()))
    assert found.tobytes() == OLD.tobytes()


@pytest.mark.backend("torch")
def test_the_memory_of_an_old_value_is_freed():
    variable = keras.Variable(OLD)
    old = variable._value
    held = hold_value(old)
    exchange_value(variable, widened(), PLACES)
    assert old.numel() == 0
    assert held.get() is old
    assert old.shape == OLD.shape


@pytest.mark.parametrize("places", [None, PLACES])
def test_a_value_that_the_new_one_does_not_tell_is_kept(places):
    variable = keras.Variable(OLD)
    old = variable._value
    held = hold_value(old)
    exchange_value(variable, widened(change=1.0), places)
    assert find_held(old) is held
    assert held.get() is old


def test_a_value_that_nobody_remembers_is_left_alone():
    variable = keras.Variable(OLD)
    old = variable._value
    exchange_value(variable, widened(), PLACES)
    assert np.asarray(keras.ops.convert_to_numpy(old)).shape == OLD.shape
