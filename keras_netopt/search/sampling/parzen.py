"""A mixture with one kernel a point: how dense points lie in [0, 1]^d."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_netopt.search.sampling import normal

# Points whose age makes no difference.
NEWEST = 25


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of the space.

    Args:
        kind: "continuous", "ordered" (bins in [0, 1]) or "categorical"
            (indices 0, 1, ...).
        edges: Edges of the bins, one more than there are values. Not used
            where continuous.
    """

    kind: str
    edges: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Number of bins; 0 where continuous."""
        return 0 if self.edges is None else len(self.edges) - 1

    def bins(self, x: np.ndarray) -> np.ndarray:
        """Returns the index of the bin of each place in [0, 1]."""
        if self.kind == "categorical":
            found = np.floor(x * self.size).astype(int)
        else:
            found = np.searchsorted(self.edges, x, side="right") - 1
        return np.clip(found, 0, self.size - 1)

    def middle(self, bins: np.ndarray) -> np.ndarray:
        """Returns the places of bins in [0, 1]."""
        if self.kind == "categorical" or self.edges is None:
            return (bins + 0.5) / max(self.size, 1)
        return 0.5 * (self.edges[bins] + self.edges[bins + 1])


class ParzenEstimator:
    """A mixture of product kernels around points, and a prior kernel.

    Numbers have truncated normal kernels as wide as the larger distance to a
    neighbour, categories have a share more where they were seen. The prior
    covers everything, so no density is 0.

    Example:

    >>> points = np.array([[0.2], [0.25], [0.3]])
    >>> estimator = ParzenEstimator(points, [Axis("continuous")])
    >>> low, high = estimator.log_density(np.array([[0.25], [0.9]]))
    >>> bool(low > high)
    True

    Args:
        points: Shape `(n, d)`, values in [0, 1], oldest first.
        axes: The d axes.
        prior_weight: Weight of the prior kernel, 1 being that of a new
            point. Defaults to `1.0`.

    Reference:
        Bergstra et al. 2011, *Algorithms for Hyper-Parameter Optimization*;
        Watanabe 2023, arXiv 2304.11127.
    """

    def __init__(
        self,
        points: np.ndarray,
        axes: Sequence[Axis],
        prior_weight: float = 1.0,
    ) -> None:
        weights: np.ndarray = np.append(age_weights(len(points)), prior_weight)
        self.weights = weights / weights.sum()
        self.axes = tuple(axes)
        self._kernels = [
            _categories(points[:, i], axis, prior_weight)
            if axis.kind == "categorical"
            else _normals(points[:, i])
            for i, axis in enumerate(axes)
        ]

    def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Draws points; those on bins lie in the middle of one.

        Args:
            size: How many.
            rng: Source of randomness.

        Returns:
            Shape `(size, d)`.
        """
        chosen = rng.choice(len(self.weights), size, p=self.weights)
        columns = []
        for axis, kernel in zip(self.axes, self._kernels, strict=True):
            if axis.kind == "categorical":
                shares = np.cumsum(kernel[chosen], axis=1)
                level = rng.random((size, 1)) * shares[:, -1:]
                column = axis.middle((shares <= level).sum(axis=1))
            else:
                mu, sigma = kernel
                column = normal.draw(mu[chosen], sigma[chosen], rng)
                if axis.kind == "ordered":
                    column = axis.middle(axis.bins(column))
            columns.append(column)
        return np.stack(columns, axis=1)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Computes the log of the mixture's density, or mass of the bins.

        Args:
            x: Shape `(n, d)`.

        Returns:
            Shape `(n,)`.
        """
        total = np.log(self.weights)[None, :].repeat(len(x), axis=0)
        for i, axis in enumerate(self.axes):
            total += _log_kernels(axis, self._kernels[i], x[:, i])
        top = total.max(axis=1, keepdims=True)
        return np.log(np.exp(total - top).sum(axis=1)) + top[:, 0]


def age_weights(count: int) -> np.ndarray:
    """Returns the weights of points, oldest first.

    The newest 25 count 1, those before rise evenly from 1 / `count`.

    Example:

    >>> age_weights(3).tolist()
    [1.0, 1.0, 1.0]
    >>> age_weights(27)[:3].tolist()
    [0.037037037037037035, 1.0, 1.0]
    """
    if count < NEWEST:
        return np.ones(count)
    ramp = np.linspace(1.0 / count, 1.0, count - NEWEST)
    return np.concatenate([ramp, np.ones(NEWEST)])


def bandwidths(mu: np.ndarray) -> np.ndarray:
    """Returns the widths of the kernels around points of [0, 1].

    The larger distance to the left or right neighbour; at either end that to
    the only neighbour; at least a hundredth of the range, more while points
    are few.

    Example:

    >>> bandwidths(np.array([0.5, 0.2, 0.3])).round(3).tolist()
    [0.2, 0.2, 0.2]

    Args:
        mu: Shape `(n,)`.

    Returns:
        Shape `(n,)`.
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


def _categories(x: np.ndarray, axis: Axis, prior: float) -> np.ndarray:
    kernels = np.full((len(x) + 1, axis.size), prior / (len(x) + 1))
    kernels[np.arange(len(x)), axis.bins(x)] += 1.0
    return kernels / kernels.sum(axis=1, keepdims=True)


def _log_kernels(
    axis: Axis,
    kernel: np.ndarray | tuple[np.ndarray, np.ndarray],
    x: np.ndarray,
) -> np.ndarray:
    """Log density of each kernel at each place, shape `(n, k)`."""
    if axis.kind == "continuous":
        return normal.log_density(x[:, None], *kernel)
    bins, inverse = np.unique(axis.bins(x), return_inverse=True)
    if isinstance(kernel, np.ndarray) or axis.edges is None:
        return np.log(np.asarray(kernel)).T[bins][inverse]
    low, high = axis.edges[bins][:, None], axis.edges[bins + 1][:, None]
    return normal.log_mass(low, high, *kernel)[inverse]
