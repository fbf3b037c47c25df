"""Tests for keras_netopt.cost.tflite_weights."""

import numpy as np
import pytest

from keras_netopt.cost.tflite_weights import unpack

pytestmark = pytest.mark.no_backend


@pytest.mark.parametrize("bits", [4, 2])
@pytest.mark.parametrize("count", [8, 5])
def test_packed_integers_are_unpacked(bits, count):
    limit = 2 ** (bits - 1)
    integers = np.resize(np.arange(-limit, limit), count)
    per_byte = 8 // bits
    raw = np.zeros(-(-count // per_byte), "uint8")
    for i, value in enumerate(integers):
        field = int(value) & (2**bits - 1)
        raw[i // per_byte] |= field << (bits * (i % per_byte))
    found = unpack(raw, bits, count)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, integers)
