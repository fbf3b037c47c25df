"""Masks move, and the number of weights stays."""

import numpy as np
import pytest

from keras_netopt.sparsity import Block, Channel, KernelView
from keras_netopt.sparsity.patterns import Unstructured
from keras_netopt.sparsity.regrow import drop_and_grow, update_mask


def arrays(size, density, seed):
    rng = np.random.default_rng(seed)
    active = rng.random(size) < density
    magnitude = np.where(active, rng.random(size), 0.0)
    return active, magnitude, rng.random(size)


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.3, 1.0])
def test_the_count_stays_for_every_density(density, fraction):
    """Where a layer is denser than 1 - fraction, few places are free."""
    active, magnitude, growth = arrays(200, density, 1)
    after = drop_and_grow(active, magnitude, growth.copy(), fraction)

    assert after.sum() == active.sum()


def test_the_smallest_leave_and_the_largest_gradients_come():
    active, magnitude, growth = arrays(400, 0.4, 2)
    count = int(0.3 * active.sum())
    after = drop_and_grow(active, magnitude.copy(), growth.copy(), 0.3)

    by_size = np.flatnonzero(active)[np.argsort(magnitude[active])]
    free = np.union1d(np.flatnonzero(~active), by_size[:count])
    grown = free[np.argsort(-growth[free])][:count]
    expected = np.union1d(by_size[count:], grown)
    np.testing.assert_array_equal(np.flatnonzero(after), expected)


def test_a_dropped_unit_may_return_at_once():
    active = np.array([True, True, False])
    growth = np.array([0.0, 9.0, 1.0])
    after = drop_and_grow(active, np.array([5.0, 1.0, 0.0]), growth, 0.5)

    np.testing.assert_array_equal(after, active)


@pytest.mark.parametrize("pattern", [Unstructured(), Block(2, 2), Channel()])
def test_patterns_stay_whole(pattern):
    rng = np.random.default_rng(3)
    view = KernelView((8, 6), (0,), (1,), 8)
    units = pattern.pool(rng.random((8, 6)))
    mask = pattern.spread(units > np.median(units), (8, 6))
    weight = np.where(mask, rng.normal(size=(8, 6)), 0.0)
    gradient = rng.random((8, 6))
    after = update_mask(pattern, view, mask, weight, gradient, 0.5)

    assert after.sum() == mask.sum()
    assert not np.array_equal(after, mask)
    pooled = pattern.pool(after.astype(float)) / pattern.pool(np.ones((8, 6)))
    assert np.isin(pooled, (0.0, 1.0)).all()


def test_each_matrix_of_a_stack_keeps_its_number():
    rng = np.random.default_rng(4)
    view = KernelView((3, 5, 4), (1,), (0, 2), 5, 3)
    mask = rng.random((3, 5, 4)) < 0.5
    weight = np.where(mask, rng.normal(size=mask.shape), 0.0)
    growth = (
        rng.random(mask.shape) * np.array([100.0, 1.0, 0.01])[:, None, None]
    )
    after = update_mask(Unstructured(), view, mask, weight, growth, 0.5)

    np.testing.assert_array_equal(after.sum((1, 2)), mask.sum((1, 2)))
