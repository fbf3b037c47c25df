"""Parzen window (kernel density) estimates in [0, 1]^d."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_netopt.search.sampling import truncated_normal

# Newest points, which have full weight.
NEWEST = 25


@dataclass(frozen=True, eq=False)
class ParameterDomain:
    """The domain of one hyperparameter, mapped to [0, 1].

    The kind is "continuous", "ordered" (bins in [0, 1]) or "categorical"
    (indices 0, 1, ...). `edges` has one more edge than there are values, and
    is `None` if continuous.
    """

    kind: str
    edges: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Number of bins; 0 if continuous."""
        return 0 if self.edges is None else len(self.edges) - 1

    def bins(self, x: np.ndarray) -> np.ndarray:
        """Returns the index of the bin of each coordinate."""
        if self.kind == "categorical":
            found = np.floor(x * self.size).astype(int)
        else:
            found = np.searchsorted(self.edges, x, side="right") - 1
        return np.clip(found, 0, self.size - 1)

    def center(self, bins: np.ndarray) -> np.ndarray:
        """Returns the coordinates of the centers of bins."""
        if self.kind == "categorical" or self.edges is None:
            return (bins + 0.5) / max(self.size, 1)
        return 0.5 * (self.edges[bins] + self.edges[bins + 1])


class ParzenEstimator:
    """A mixture of one product kernel per point and a prior kernel.

    Numeric kernels are truncated normals, whose width is the larger distance
    to a neighbouring point; categorical kernels add weight to the observed
    category. The prior kernel covers the space, so that no density is 0; its
    weight is relative to that of the newest point. `points` has the shape
    `(n, d)`, values in [0, 1], oldest first.

    Reference:
        Bergstra et al. 2011, *Algorithms for Hyper-Parameter Optimization*;
        Watanabe 2023, arXiv 2304.11127.
    """

    def __init__(
        self,
        points: np.ndarray,
        domains: Sequence[ParameterDomain],
        prior_weight: float = 1.0,
    ) -> None:
        weights: np.ndarray = np.append(age_weights(len(points)), prior_weight)
        self.weights = weights / weights.sum()
        self.domains = tuple(domains)
        self._kernels = [
            _categories(points[:, i], domain, prior_weight)
            if domain.kind == "categorical"
            else _normals(points[:, i])
            for i, domain in enumerate(domains)
        ]

    def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Samples points, shape `(size, d)`; bins give their centers."""
        chosen = rng.choice(len(self.weights), size, p=self.weights)
        columns = []
        for domain, kernel in zip(self.domains, self._kernels, strict=True):
            if domain.kind == "categorical":
                shares = np.cumsum(kernel[chosen], axis=1)
                level = rng.random((size, 1)) * shares[:, -1:]
                column = domain.center((shares <= level).sum(axis=1))
            else:
                mu, sigma = kernel
                column = truncated_normal.sample(mu[chosen], sigma[chosen], rng)
                if domain.kind == "ordered":
                    column = domain.center(domain.bins(column))
            columns.append(column)
        return np.stack(columns, axis=1)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Computes the log of the density, or of bin probabilities, `(n,)`."""
        total = np.log(self.weights)[None, :].repeat(len(x), axis=0)
        for i, domain in enumerate(self.domains):
            total += _log_kernels(domain, self._kernels[i], x[:, i])
        top = total.max(axis=1, keepdims=True)
        return np.log(np.exp(total - top).sum(axis=1)) + top[:, 0]


def age_weights(count: int) -> np.ndarray:
    """Returns the weights of points, oldest first.

    The newest 25 have weight 1; older weights rise linearly from 1 / `count`.
    """
    if count < NEWEST:
        return np.ones(count)
    ramp = np.linspace(1.0 / count, 1.0, count - NEWEST)
    return np.concatenate([ramp, np.ones(NEWEST)])


def bandwidths(mu: np.ndarray) -> np.ndarray:
    """Returns the kernel widths of points in [0, 1].

    The width is the larger distance to the left or right neighbour, at either
    end the distance to the only neighbour; at least 0.01 of the range, more
    for few points.
    """
    order = np.argsort(mu, kind="stable")
    ends = np.concatenate([[0.0], mu[order], [1.0]])
    gaps = np.diff(ends)
    widths = np.maximum(gaps[:-1], gaps[1:])
    if len(mu) >= 2:
        widths[0], widths[-1] = gaps[1], gaps[-2]
    smallest = 1.0 / min(100.0, 2.0 + len(mu))
    found = np.empty_like(widths)
    found[order] = np.clip(widths, smallest, 1.0)
    return found


def _normals(mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.append(mu, 0.5), np.append(bandwidths(mu), 1.0)


def _categories(
    x: np.ndarray, domain: ParameterDomain, prior: float
) -> np.ndarray:
    kernels = np.full((len(x) + 1, domain.size), prior / (len(x) + 1))
    kernels[np.arange(len(x)), domain.bins(x)] += 1.0
    return kernels / kernels.sum(axis=1, keepdims=True)


def _log_kernels(
    domain: ParameterDomain,
    kernel: np.ndarray | tuple[np.ndarray, np.ndarray],
    x: np.ndarray,
) -> np.ndarray:
    """Log density of each kernel at each point, shape `(n, k)`."""
    if domain.kind == "continuous":
        return truncated_normal.log_density(x[:, None], *kernel)
    bins, inverse = np.unique(domain.bins(x), return_inverse=True)
    if isinstance(kernel, np.ndarray) or domain.edges is None:
        return np.log(np.asarray(kernel)).T[bins][inverse]
    low, high = domain.edges[bins][:, None], domain.edges[bins + 1][:, None]
    return truncated_normal.log_bin_probability(low, high, *kernel)[inverse]
