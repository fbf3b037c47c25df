"""Report of the grid of each kernel of a model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.check_model import check_model
from keras_netopt.quantization import grids
from keras_netopt.quantization.ranges import ActivationRanges
from keras_netopt.report import Report
from keras_netopt.sparsity.prunability import is_kernel
from keras_netopt.sparsity.weight_matches import list_weights
from keras_netopt.tables import render
from keras_netopt.training import sync_variables

HEADERS = (
    "Kernel",
    "Shape",
    "Weights",
    "Bits",
    "Channels",
    "Saturated",
    "Zero",
)
OFF_GRID = "float: on no grid"
MOST_VALUES = 256
_SAMPLE = 10_000


@dataclass(frozen=True)
class QuantizationRow:
    """One kernel of a model.

    Args:
        key: Its unique name.
        layer: Class of the layer that holds it.
        shape: Its shape.
        weights: Number of its elements.
        bits: Smallest grid that holds it, `None` if there is none.
        values: Number of different values if it is on no grid and has at most
            256, else `None`.
        channels: Number of scales; 0 if it is on no grid.
        saturated: Share of the weights at the end of the grid.
        zeros: Share of the weights that are zero.
        reason: Why it stays float, `None` if it does not.
    """

    key: str
    layer: str
    shape: tuple[int, ...]
    weights: int
    bits: int | None
    values: int | None
    channels: int
    saturated: float
    zeros: float
    reason: str | None = None

    @property
    def is_quantized(self) -> bool:
        """Whether the kernel is on a grid or has few values."""
        return self.bits is not None or self.values is not None

    def cells(self) -> tuple[Any, ...]:
        """Returns the cells of the row in the table."""
        bits = self.reason if self.bits is None else str(self.bits)
        if self.bits is None and self.values is not None:
            bits = f"{self.values} values"
        on_grid = self.bits is not None
        return (
            self.key,
            str(self.shape),
            self.weights,
            bits,
            self.channels if on_grid else None,
            f"{self.saturated:.1%}" if on_grid else None,
            f"{self.zeros:.1%}",
        )


@dataclass(frozen=True, repr=False)
class QuantizationReport(Report):
    """The grids of a model's kernels; prints as a table.

    Args:
        rows: One row per kernel, in the order of `model.weights`.
        name: Name of the model.
        ranges: Number of activations with a trained int8 range.
    """

    rows: tuple[QuantizationRow, ...]
    name: str = ""
    ranges: int = 0

    @property
    def weights(self) -> int:
        """Number of elements of all kernels."""
        return sum(row.weights for row in self.rows)

    @property
    def quantized(self) -> float:
        """Share of the kernels' elements that are quantized, in [0, 1]."""
        found = sum(row.weights for row in self.rows if row.is_quantized)
        return found / max(1, self.weights)

    def to_dict(self) -> dict[str, Any]:
        """Returns the rows and the quantized share as JSON-safe values."""
        return super().to_dict() | {"quantized": self.quantized}

    def __str__(self) -> str:
        """Returns the table."""
        title = f'Quantization of "{self.name}"' if self.name else None
        table = render(HEADERS, [row.cells() for row in self.rows], title=title)
        text = (
            f"{table}\nQuantized: {self.quantized:.1%} of {self.weights:,} "
            "weights in kernels."
        )
        if self.ranges:
            text += f"\nActivations: {self.ranges} int8 ranges."
        return text

    def __repr__(self) -> str:
        """Shows the table at the prompt and in notebooks."""
        return str(self)


def report(model: keras.Model) -> QuantizationReport:
    """Tells for each kernel of a model which grid it is on.

    It reads the values, so it works for any Keras model, also one from a
    file. A grid is recognized bit for bit.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> report(model).rows[0].bits is None
    True
    >>> _ = netopt.quantization.quantize(model, bits=4)
    >>> report(model).rows[0].bits
    4

    Args:
        model: A built model.

    Returns:
        The report; `print` shows it as a table.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If it is not built.
    """
    check_model(model)
    return make_report(model, {})


def make_report(
    model: keras.Model, reasons: Mapping[str, str]
) -> QuantizationReport:
    """Builds the report; `reasons` tell why kernels, by key, stay float."""
    sync_variables(model)
    rows = tuple(
        _row(key, variable, layer, reasons.get(key, OFF_GRID))
        for key, variable, layer in list_weights(model)
        if is_kernel(variable, layer)
    )
    ranges = ActivationRanges.of(model)
    count = 0 if ranges is None else len(ranges.places)
    return QuantizationReport(rows, model.name, count)


def _row(
    key: str, variable: keras.Variable, layer: keras.Layer, reason: str
) -> QuantizationRow:
    kernel = np.asarray(ops.convert_to_numpy(variable.value))
    kernel = kernel.astype("float32")
    axes = grids.channel_axes(variable, layer)
    # Neither is a layer on a grid that adds a LoRA product to its kernel.
    is_whole = not getattr(layer, "lora_enabled", False)
    is_finite = bool(np.isfinite(kernel).all())
    bits = grids.find_bits(kernel, axes) if is_whole and is_finite else None
    channels, saturated = 0, 0.0
    if bits is not None:
        integers, scales = grids.find_integers(kernel, axes, bits)
        channels = int(scales.size)
        limit = grids.find_limit(bits)
        saturated = float(np.mean(np.abs(integers) == limit))
    values = None
    # In a short dtype any kernel repeats its values.
    is_long = "float16" not in keras.backend.standardize_dtype(variable.dtype)
    if bits is None and is_whole and is_finite and is_long:
        values = _count_values(kernel)
    if not is_finite:
        reason = "not finite"
    elif not is_whole and reason == OFF_GRID:
        reason = "float: LoRA weights are added to it"
    is_float = bits is None and values is None
    return QuantizationRow(
        key=key,
        layer=type(layer).__name__,
        shape=tuple(int(size) for size in kernel.shape),
        weights=math.prod(kernel.shape),
        bits=bits,
        values=values,
        channels=channels,
        saturated=saturated,
        zeros=float(np.mean(kernel == 0)),
        reason=reason if is_float else None,
    )


def _count_values(kernel: np.ndarray) -> int | None:
    """Counts the values of a kernel that repeats at most 256 of them."""
    flat = kernel.ravel()
    if np.unique(flat[:_SAMPLE]).size > MOST_VALUES:
        return None
    count = np.unique(flat).size
    is_shared = count <= MOST_VALUES and 2 * count <= flat.size
    return int(count) if is_shared else None
