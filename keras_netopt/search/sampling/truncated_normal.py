"""The normal distribution truncated to [0, 1]."""

import math
import statistics

import numpy as np

_ERFC = np.frompyfunc(math.erfc, 1, 1)
_INVERSE_CDF = np.frompyfunc(statistics.NormalDist().inv_cdf, 1, 1)


def normal_cdf(z: np.ndarray) -> np.ndarray:
    """Computes the cumulative distribution of the standard normal.

    Example:

    >>> normal_cdf(np.array([0.0, 1.959964])).round(6).tolist()
    [0.5, 0.975]

    Args:
        z: Array of any shape.

    Returns:
        Probabilities in [0, 1], of the same shape.
    """
    return 0.5 * _ERFC(z * -math.sqrt(0.5)).astype(float)


def log_bin_probability(
    low: np.ndarray, high: np.ndarray, mu: np.ndarray, sigma: np.ndarray
) -> np.ndarray:
    """Computes log probabilities of bins.

    Args:
        low: Lower edges of the bins, shape `(n, 1)`.
        high: Upper edges, shape `(n, 1)`.
        mu: Means in [0, 1], shape `(k,)`.
        sigma: Standard deviations above 0, shape `(k,)`.

    Returns:
        Shape `(n, k)`; -inf for a probability below the smallest float.
    """
    inside = normal_cdf((high - mu) / sigma) - normal_cdf((low - mu) / sigma)
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(inside, 0.0)) - np.log(_inside(mu, sigma))


def log_density(x: np.ndarray, mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Computes log densities.

    Args:
        x: Points in [0, 1], shape `(n, 1)`.
        mu: Means in [0, 1], shape `(k,)`.
        sigma: Standard deviations above 0, shape `(k,)`.

    Returns:
        Shape `(n, k)`.
    """
    z = (x - mu) / sigma
    scale = np.log(sigma * np.sqrt(2.0 * np.pi) * _inside(mu, sigma))
    return -0.5 * z * z - scale


def sample(
    mu: np.ndarray, sigma: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Samples one point per mean.

    Args:
        mu: Means in [0, 1], shape `(n,)`.
        sigma: Standard deviations above 0, shape `(n,)`.
        rng: Source of randomness.

    Returns:
        Shape `(n,)`.
    """
    below, above = normal_cdf(-mu / sigma), normal_cdf((1.0 - mu) / sigma)
    shares = below + rng.random(len(mu)) * (above - below)
    z = _INVERSE_CDF(np.clip(shares, 1e-12, 1.0 - 1e-12)).astype(float)
    return np.clip(mu + sigma * z, 0.0, 1.0)


def _inside(mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """The probability of [0, 1] before truncation."""
    return normal_cdf((1.0 - mu) / sigma) - normal_cdf(-mu / sigma)
