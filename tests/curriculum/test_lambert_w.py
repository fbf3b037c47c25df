import math

import keras
import numpy as np

from keras_netopt.curriculum import lambert_w


def solve(x):
    w = lambert_w(keras.ops.convert_to_tensor(np.asarray(x, "float32")))
    return keras.ops.convert_to_numpy(w)


def test_solves_its_equation_from_the_branch_point_to_a_million():
    x = np.concatenate(
        [
            np.linspace(-1 / math.e + 1e-7, -0.3, 200),
            np.linspace(-0.3, 3.0, 200),
            np.logspace(0.5, 6, 200),
        ]
    ).astype("float32")
    w = solve(x).astype("float64")

    assert (np.abs(w * np.exp(w) - x) <= 1e-5 * np.maximum(1, abs(x))).all()
    assert (w >= -1).all()
    assert (np.diff(w) >= -1e-6).all()


def test_known_values():
    found = solve([0.0, 1.0, math.e, -1 / math.e])
    np.testing.assert_allclose(found, [0, 0.56714329, 1, -1], atol=1e-3)
    np.testing.assert_allclose(found[:3], [0, 0.56714329, 1], atol=1e-6)


def test_stays_finite_beyond_its_domain():
    w = solve([-5.0, -np.inf, 3e38, np.inf])
    assert np.isfinite(w).all()
    assert (w[:2] < -0.99).all() and (w[2:] > 60).all()
