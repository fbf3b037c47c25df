"""Check 15: halting arithmetic against hand-computed numbers."""

import numpy as np
import pytest
from keras import ops

from keras_netopt.depth import halting


def array(tensor):
    return np.array(ops.convert_to_numpy(tensor))


def tensor(values):
    return ops.convert_to_tensor(np.array(values, "float32"))


def test_hand_computed_probabilities():
    h = tensor([[0.2, 0.5, 0.9, 0.1], [1.0, 0.5, 0.5, 0.5], [0, 0, 0, 0]])
    found = array(halting.halting_probabilities(h))

    expected = [[0.2, 0.4, 0.36, 0.04], [1, 0, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    steps = array(halting.expected_steps(tensor(expected)))
    np.testing.assert_allclose(steps, [2.24, 1.0, 4.0], atol=1e-6)


def test_the_prior_is_geometric_and_sums_to_one():
    prior = halting.geometric_prior(0.2, 20)

    assert prior.sum() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(prior[1:] / prior[:-1], 0.8, rtol=1e-5)
    found = halting.geometric_prior(0.2, 3)
    np.testing.assert_allclose(found, np.array([25, 20, 16]) / 61, rtol=1e-6)


def test_divergence_is_from_p_to_the_prior():
    prior = tensor([0.5, 0.25, 0.25])
    p = tensor([[0.25, 0.25, 0.5], [0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    found = array(halting.kl_divergence(p, prior))

    # 1/4 ln 1/2 + 1/4 ln 1 + 1/2 ln 2. The reverse divergence is 0.1733 too;
    # the last row distinguishes them: ln 4, not infinite.
    expected = [0.25 * np.log(2), 0.0, np.log(4)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_divergence_is_never_below_zero():
    p = np.random.default_rng(0).dirichlet(np.ones(6) * 0.2, 200)
    prior = halting.geometric_prior(0.3, 6)
    found = array(halting.kl_divergence(tensor(p), tensor(prior)))

    assert (found > -1e-6).all()
    assert found.max() > 0.1
    same = array(halting.kl_divergence(tensor(prior[None]), tensor(prior)))
    assert same == pytest.approx(0.0, abs=1e-6)


def test_the_halting_step_is_the_first_at_the_threshold():
    p = tensor([[0.4, 0.2, 0.4], [0.1, 0.1, 0.8], [0.9, 0.1, 0.0]])

    found = array(halting.halting_step_mask(p, 0.5))
    np.testing.assert_array_equal(found.argmax(1), [1, 2, 0])
    np.testing.assert_array_equal(found.sum(1), 1.0)
    found = array(halting.halting_step_mask(p, tensor([0.1, 0.15, 0.95])))
    np.testing.assert_array_equal(found.argmax(1), [0, 1, 1])
