"""Entries along several axes, a few rows at a time."""

import numpy as np
import pytest

from keras_netopt.training import take_entries as module
from keras_netopt.training.take_entries import find_differences, take_entries

pytestmark = pytest.mark.no_backend
PLACES = {
    "none": [],
    "one": [(1, np.array([0, 2, 2]))],
    "two": [(0, np.array([3, 0, 0, 4])), (2, np.array([1, 1, 0]))],
    "last first": [(2, np.array([2, 0])), (1, np.array([0, 0, 1, 2]))],
}


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_entries_are_those_of_numpy(monkeypatch, places, size):
    monkeypatch.setattr(module, "SIZE", size)
    array = np.random.default_rng(0).normal(size=(5, 3, 3))
    expected = array
    for axis, index in places:
        expected = np.take(expected, index, axis=axis)
    found = take_entries(array, places)
    np.testing.assert_array_equal(found, expected)
    assert found is array or found.ctypes.data % 64 == 0
    where, old = find_differences(found, array, places)
    assert (where.size, old.size) == (0, 0)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_bits_that_differ_are_found(monkeypatch, size):
    monkeypatch.setattr(module, "SIZE", size)
    old = np.zeros((5, 4), "float32")
    old[4, 1] = np.nan
    new = old.repeat(2, axis=1)
    new[2, 2], new[4, 6] = -0.0, 1.0
    places = [(1, np.arange(0, 8, 2))]
    where, kept = find_differences(old, new, places)
    assert where.tolist() == [9, 19]
    np.testing.assert_array_equal(kept, [0.0, 0.0])


def test_a_scalar_has_no_rows():
    where, _ = find_differences(np.float32(1), np.float32(1), [])
    assert where.size == 0
