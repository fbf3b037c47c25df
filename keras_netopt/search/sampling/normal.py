"""The normal distribution cut off at the ends of [0, 1]."""

import statistics

import numpy as np

_INVERSE = statistics.NormalDist().inv_cdf
# Chebyshev coefficients of Press et al., *Numerical Recipes*, `erfcc`: the
# complementary error function to 1.2e-7 of its value everywhere.
_ERFC = (
    0.17087277,
    -0.82215223,
    1.48851587,
    -1.13520398,
    0.27886807,
    -0.18628806,
    0.09678418,
    0.37409196,
    1.00002368,
    -1.26551223,
)


def cdf(z: np.ndarray) -> np.ndarray:
    """Computes the share of a standard normal below `z`.

    Example:

    >>> cdf(np.array([0.0, 1.959964])).round(6).tolist()
    [0.5, 0.975]

    Args:
        z: Any shape.

    Returns:
        Values in [0, 1], right to 1.2e-7 of the smaller tail.
    """
    x = np.abs(z) * np.sqrt(0.5)
    t = 1.0 / (1.0 + 0.5 * x)
    tail = 0.5 * t * np.exp(-x * x + np.polyval(_ERFC, t))
    return np.where(z < 0, tail, 1.0 - tail)


def log_mass(
    low: np.ndarray, high: np.ndarray, mu: np.ndarray, sigma: np.ndarray
) -> np.ndarray:
    """Computes the log share of bins under normals cut to [0, 1].

    Args:
        low: Lower edges of the bins, shape `(n, 1)`.
        high: Upper edges, shape `(n, 1)`.
        mu: Means in [0, 1], shape `(k,)`.
        sigma: Standard deviations above 0, shape `(k,)`.

    Returns:
        Shape `(n, k)`; -inf where a bin lies beyond all precision.
    """
    inside = cdf((high - mu) / sigma) - cdf((low - mu) / sigma)
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(inside, 0.0)) - np.log(_within(mu, sigma))


def log_density(x: np.ndarray, mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Computes the log density of normals cut to [0, 1].

    Args:
        x: Points in [0, 1], shape `(n, 1)`.
        mu: Means in [0, 1], shape `(k,)`.
        sigma: Standard deviations above 0, shape `(k,)`.

    Returns:
        Shape `(n, k)`.
    """
    z = (x - mu) / sigma
    scale = np.log(sigma * np.sqrt(2.0 * np.pi) * _within(mu, sigma))
    return -0.5 * z * z - scale


def draw(
    mu: np.ndarray, sigma: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws one point a normal cut to [0, 1].

    Args:
        mu: Means in [0, 1], shape `(n,)`.
        sigma: Standard deviations above 0, shape `(n,)`.
        rng: Source of randomness.

    Returns:
        Shape `(n,)`.
    """
    below, above = cdf(-mu / sigma), cdf((1.0 - mu) / sigma)
    shares = below + rng.random(len(mu)) * (above - below)
    shares = np.clip(shares, 1e-12, 1.0 - 1e-12)
    z = np.array([_INVERSE(share) for share in shares.tolist()])
    return np.clip(mu + sigma * z, 0.0, 1.0)


def _within(mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    return cdf((1.0 - mu) / sigma) - cdf(-mu / sigma)
