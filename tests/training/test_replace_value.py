"""Old values are freed where new ones tell them, and made again."""

import keras
import numpy as np
import pytest

from keras_netopt.graph.held_values import find_held, hold_value
from keras_netopt.graph.read_value import to_numpy
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
