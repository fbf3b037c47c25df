"""Advantages of trajectories with every kind of end."""

import numpy as np
import pytest

from keras_netopt.rl import estimate_advantages

pytestmark = pytest.mark.no_backend


def by_definition(r, v, nv, term, trunc, discount, lam):
    """The weighted sum of n-step advantages, episode by episode."""
    steps, envs = r.shape
    found = np.zeros((steps, envs))
    for e in range(envs):
        for t in range(steps):
            last = t
            while last < steps - 1 and not (term[last, e] or trunc[last, e]):
                last += 1
            total, weight = 0.0, 1.0
            for end in range(t, last + 1):
                value = 0.0 if term[end, e] else nv[end, e]
                n_step = sum(
                    discount ** (k - t) * r[k, e] for k in range(t, end + 1)
                )
                n_step += discount ** (end - t + 1) * value - v[t, e]
                share = weight if end == last else weight * (1 - lam)
                total += share * n_step
                weight *= lam
            found[t, e] = total
    return found


@pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
def test_they_are_weighted_sums_of_n_step_advantages(gae_lambda):
    rng = np.random.default_rng(0)
    r, v, nv = rng.standard_normal((3, 20, 4))
    term = rng.random((20, 4)) < 0.15
    trunc = rng.random((20, 4)) < 0.15
    # Values of one trajectory agree where it goes on.
    going = ~(term | trunc)[:-1]
    nv[:-1][going] = v[1:][going]

    found = estimate_advantages(
        r, v, nv, term, trunc, discount=0.9, gae_lambda=gae_lambda
    )

    wanted = by_definition(r, v, nv, term, trunc, 0.9, gae_lambda)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_limit_of_time_is_not_the_end_of_an_episode():
    arguments = {"rewards": [[1.0, 1.0]], "values": [[0.0, 0.0]]}

    found = estimate_advantages(
        **arguments,
        next_values=[[10.0, 10.0]],
        terminated=[[True, False]],
        truncated=[[False, True]],
        discount=0.5,
    )

    assert found.tolist() == [[1.0, 6.0]]


def test_an_end_by_both_has_no_future():
    found = estimate_advantages(
        [[1.0]], [[0.0]], [[10.0]], [[True]], [[True]], discount=0.5
    )

    assert found.tolist() == [[1.0]]
