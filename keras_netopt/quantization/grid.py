"""Rounds a kernel to a grid inside the training step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_netopt.quantization import grids

# Compiled code may round the last bits another way.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Grid:
    """The grid of one kernel: a quantizer of `training.MasterStore`.

    Args:
        bits: 8, 4, 3 or 2.
        method: "max", "mse" or "twn", see `grids.find_scale`.
        axes: Axes of the kernel with one scale per index.
        dtype: Dtype of the kernel. Defaults to `"float32"`.
    """

    bits: int
    method: str
    axes: tuple[int, ...]
    dtype: str = "float32"

    def create_levels(self, weight: np.ndarray) -> None:
        """Returns `None`: the scales follow from the master."""

    def quantize(self, weight: Any, levels: Any = None) -> Any:
        """Rounds a kernel, as a tensor or a numpy array."""
        is_array = isinstance(weight, np.ndarray)
        if self.dtype != "float32":
            weight = (
                weight.astype("float32")
                if is_array
                else ops.cast(weight, "float32")
            )
        scale = self._scale(weight)
        saturate = self.method != "max" or self.dtype != "float32"
        rounded = grids.round_to_grid(
            weight, scale, self.bits, saturate=saturate
        )
        if self.dtype != "float32" and not is_array:
            rounded = ops.cast(rounded, self.dtype)
        return rounded

    def _scale(self, weight: Any, method: str | None = None) -> Any:
        precision = grids.find_precision(self.dtype, self.bits)
        method = method or self.method
        return grids.find_scale(weight, self.axes, self.bits, method, precision)

    def is_rounded(
        self, value: np.ndarray, master: np.ndarray, levels: Any = None
    ) -> bool:
        """Whether `value` is `quantize(master)`, up to rounding errors.

        The largest weight of a channel saturates, so `value` tells its scale.
        """
        value, master = value.astype("float32"), master.astype("float32")
        scale = grids.find_scale(value, self.axes, self.bits)
        on_grid = grids.round_to_grid(value, scale, self.bits)
        if not np.array_equal(on_grid, value):
            return False
        nearest = grids.round_to_grid(master, scale, self.bits)
        allowed = TOLERANCE * np.abs(master).max(initial=0.0)
        error = np.abs(value - master) - np.abs(nearest - master)
        return bool((error <= allowed).all()) and self._is_scale(scale, master)

    def _is_scale(self, scale: np.ndarray, master: np.ndarray) -> bool:
        # A scale may be rounded up or down.
        precision = grids.find_precision(self.dtype, self.bits)
        allowed = max(TOLERANCE, 2.0 ** (1 - precision))
        if self.method != "mse":
            own = self._scale(master)
            return bool((np.abs(own - scale) <= allowed * own).all())
        # Two factors may be equally good: any of them is allowed.
        largest = self._scale(master, "max")
        factors = np.asarray(grids.FACTORS, "float32")
        ratio = (scale / largest)[..., None]
        return bool((np.abs(ratio - factors).min(-1) <= allowed).all())
