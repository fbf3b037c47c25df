"""Checks the arguments of a quantization and makes the quantizers."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.quantization import grids
from keras_netopt.quantization.clusters import Clusters
from keras_netopt.quantization.grid import Grid
from keras_netopt.sparsity.selection import WeightTarget

MOST_CLUSTERS = 256


@dataclass(frozen=True)
class QuantizationSettings:
    """What kernels are rounded to. Create it with `create`.

    Args:
        bits: 8, 4, 3 or 2; unused with clusters.
        method: "max", "mse" or "twn".
        clusters: Number of shared values, or `None`.
    """

    bits: int
    method: str
    clusters: int | None

    @classmethod
    def create(
        cls, bits: Any = 8, grid: Any = "auto", clusters: Any = None
    ) -> "QuantizationSettings":
        """Checks the arguments of `callbacks.Quantization`.

        Raises:
            TypeError: If `bits` or `clusters` is not an integer.
            ValueError: If an argument is out of range, or two of them
                contradict each other.
        """
        check_integer(bits, "bits")
        if bits not in grids.BITS:
            raise ValueError(
                f"Argument `bits` must be 2, 3, 4 or 8. Received: bits={bits!r}"
            )
        check_choice(grid, "grid", ("auto", *grids.METHODS))
        if grid == "twn" and bits != 2:
            raise ValueError(
                'Argument `grid` must be "max" or "mse" with more than 2 '
                'bits: "twn" has the values -s, 0 and s only. '
                f"Received: grid='twn', bits={bits}"
            )
        if clusters is not None:
            check_integer(clusters, "clusters", minimum=2)
            if clusters > MOST_CLUSTERS or bits != 8 or grid != "auto":
                raise ValueError(
                    f"Argument `clusters` must be at most {MOST_CLUSTERS} and "
                    "replaces `bits` and `grid`: leave these out. Received: "
                    f"clusters={clusters}, bits={bits}, grid={grid!r}"
                )
        method = grids.find_method(bits) if grid == "auto" else grid
        return cls(bits, method, clusters)

    def make_quantizer(self, target: WeightTarget) -> Grid | Clusters:
        """Returns the quantizer of one kernel."""
        if self.clusters is not None:
            return Clusters(self.clusters)
        axes = grids.channel_axes(target.variable, target.layer)
        dtype = keras.backend.standardize_dtype(target.variable.dtype)
        return Grid(self.bits, self.method, axes, dtype)
