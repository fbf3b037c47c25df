import keras
import numpy as np
import pytest
from contract import torch_compile

from keras_netopt.training.counter_random import uniform

ops = keras.ops


def draw(seed, step, count):
    step = ops.convert_to_tensor(np.array(step, "int32"))
    return ops.convert_to_numpy(uniform(seed, step, count))


def reference(seed, step, count):
    """The same in Python integers."""

    def mix(x):
        x ^= x >> 16
        x = x * 0x7FEB352D & 0xFFFFFFFF
        x ^= x >> 15
        x = x * 0x846CA68B & 0xFFFFFFFF
        return x ^ x >> 16

    begin = mix((mix(seed) + step) & 0xFFFFFFFF)
    bits = [mix((mix(i) + begin) & 0xFFFFFFFF) for i in range(count)]
    return np.array([b >> 8 for b in bits]) / 2**24


@pytest.mark.parametrize(("seed", "step"), [(0, 0), (7, 3), (2**31, 10**6)])
def test_every_backend_gives_the_same_numbers(seed, step):
    found = draw(seed, step, 50)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    np.testing.assert_allclose(found, reference(seed, step, 50), atol=1e-7)


def test_numbers_are_uniform_and_independent():
    table = np.stack([draw(0, step, 400) for step in range(50)])
    assert table.min() >= 0.0 and table.max() < 1.0
    counts = np.histogram(table, bins=20, range=(0, 1))[0]
    # 1000 each; five standard deviations of a binomial are 154.
    assert abs(counts - 1000).max() < 154
    for shifted in (table[1:], table[:, 1:]):
        base = table[tuple(slice(n) for n in shifted.shape)]
        correlation = np.corrcoef(shifted.ravel(), base.ravel())[0, 1]
        assert abs(correlation) < 0.035
    other = np.stack([draw(1, step, 400) for step in range(50)])
    assert abs(np.corrcoef(other.ravel(), table.ravel())[0, 1]) < 0.035


@pytest.mark.backend("tensorflow")  # JAX always uses XLA.
def test_xla_gives_the_same_numbers():
    import tensorflow as tf

    def function(step):
        return uniform(3, step, 8)

    with_xla = tf.function(function, jit_compile=True)(tf.constant(5))
    np.testing.assert_array_equal(with_xla, function(tf.constant(5)))


@pytest.mark.slow
@torch_compile.quiet
@pytest.mark.backend("torch")
def test_torch_compile_gives_the_same_numbers():
    import torch

    def function(step):
        return uniform(2**31 + 3, step, 8)

    compiled = torch.compile(function)(torch.tensor(5))
    assert torch.equal(compiled, function(torch.tensor(5)))
