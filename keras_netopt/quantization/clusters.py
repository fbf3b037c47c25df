"""Rounds a kernel to k shared values inside the training step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_netopt.quantization.grid import TOLERANCE

# The first values need many steps of Lloyd's algorithm, later ones few.
FIRST_STEPS = 25


@dataclass(frozen=True)
class Clusters:
    """The shared values of one kernel: a quantizer of `training.MasterStore`.

    The values are sorted; one of them is 0, for pruned weights.

    Args:
        count: Number of values, in [2, 256].
    """

    count: int

    def create_levels(self, weight: np.ndarray) -> np.ndarray:
        """Returns values between quantiles and even steps, then optimized.

        Args:
            weight: The kernel.

        Returns:
            Sorted values, float32, of shape `(count,)`.
        """
        nonzero = weight[weight != 0]
        if not nonzero.size:
            nonzero = np.array([-1.0, 1.0], "float32")
        places = (np.arange(self.count - 1) + 0.5) / (self.count - 1)
        low, high = nonzero.min(), nonzero.max()
        levels = np.quantile(nonzero, places) + low + (high - low) * places
        first = np.sort(np.append(levels / 2, 0.0)).astype("float32")
        return self.improve(weight, first, FIRST_STEPS)

    def improve(
        self, weight: np.ndarray, levels: np.ndarray, steps: int = 1
    ) -> np.ndarray:
        """Returns the values after steps of Lloyd's algorithm.

        Args:
            weight: The kernel.
            levels: Sorted values.
            steps: Number of steps. Defaults to `1`.
        """
        ordered = np.sort(weight[weight != 0])
        sums = np.concatenate([[0.0], np.cumsum(ordered, dtype="float64")])
        for _ in range(steps):
            middles = np.searchsorted(ordered, (levels[1:] + levels[:-1]) / 2)
            ends = np.concatenate([[0], middles, [ordered.size]])
            counts = np.diff(ends)
            means = np.diff(sums[ends]) / np.maximum(counts, 1)
            moved = np.where(counts > 0, means, levels)
            moved[np.argmin(np.abs(levels))] = 0.0
            levels = np.sort(moved).astype("float32")
        return levels

    def quantize(self, weight: Any, levels: Any) -> Any:
        """Replaces each weight by the nearest value; zeros stay zero.

        Args:
            weight: Kernel, a tensor or a numpy array.
            levels: Sorted values of the same kind.
        """
        xp = np if isinstance(weight, np.ndarray) else ops
        edges = (levels[1:] + levels[:-1]) / 2
        nearest = xp.zeros_like(weight) + levels[0]
        for i in range(1, self.count):
            nearest = xp.where(weight > edges[i - 1], levels[i], nearest)
        return xp.where(weight == 0, 0.0, nearest)

    def is_rounded(
        self, value: np.ndarray, master: np.ndarray, levels: Any
    ) -> bool:
        """Whether `value` is `quantize(master)`, up to rounding errors."""
        if not np.isin(value, np.append(levels, np.float32(0))).all():
            return False
        nearest = self.quantize(master, levels)
        allowed = TOLERANCE * np.abs(master).max(initial=0.0)
        error = np.abs(value - master) - np.abs(nearest - master)
        return bool((error <= allowed).all())
