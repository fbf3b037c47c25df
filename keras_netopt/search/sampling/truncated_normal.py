"""The normal distribution truncated to [0, 1]."""

import math
import statistics

import numpy as np

_ERFC = np.frompyfunc(math.erfc, 1, 1)
_INVERSE_CDF = np.frompyfunc(statistics.NormalDist().inv_cdf, 1, 1)


def normal_cdf(z: np.ndarray) -> np.ndarray:
    """Computes the cumulative distribution of the standard normal."""
    # Outside it is 0.0 and 1.0 exactly, and most kernels are far away.
    found = np.where(z < 0.0, 0.0, 1.0)
    near = (z > -39.0) & (z < 9.0)
    found[near] = 0.5 * _ERFC(z[near] * -math.sqrt(0.5)).astype(float)
    return found


def log_bin_probability(
    low: np.ndarray, high: np.ndarray, mu: np.ndarray, sigma: np.ndarray
) -> np.ndarray:
    """Computes log probabilities of n bins for k distributions, `(n, k)`.

    The edges have the shape `(n, 1)`, `mu` in [0, 1] and `sigma` above 0 the
    shape `(k,)`. A probability below the smallest float is -inf.
    """
    inside = normal_cdf((high - mu) / sigma) - normal_cdf((low - mu) / sigma)
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(inside, 0.0)) - np.log(_inside(mu, sigma))


def log_density(x: np.ndarray, mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Computes log densities at `x` in [0, 1], shape `(n, 1)`: `(n, k)`."""
    z = (x - mu) / sigma
    scale = np.log(sigma * np.sqrt(2.0 * np.pi) * _inside(mu, sigma))
    return -0.5 * z * z - scale


def sample(
    mu: np.ndarray, sigma: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Samples one point per mean, shape `(n,)`."""
    below, above = normal_cdf(-mu / sigma), normal_cdf((1.0 - mu) / sigma)
    shares = below + rng.random(len(mu)) * (above - below)
    z = _INVERSE_CDF(np.clip(shares, 1e-12, 1.0 - 1e-12)).astype(float)
    return np.clip(mu + sigma * z, 0.0, 1.0)


def _inside(mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """The probability of [0, 1] before truncation."""
    return normal_cdf((1.0 - mu) / sigma) - normal_cdf(-mu / sigma)
