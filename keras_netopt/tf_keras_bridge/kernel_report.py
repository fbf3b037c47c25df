"""What tfmot did to each kernel of a model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.report import Report
from keras_netopt.tables import render
from keras_netopt.tf_keras_bridge.copy_weights import is_wrapper
from keras_netopt.tf_keras_bridge.quantize_scheme import DEPTHWISE

MAX_ROWS = 30


@dataclass(frozen=True)
class KernelRow(Report):
    """One kernel before and after a training with tfmot.

    Example:

    >>> row = KernelRow("fc", "kernel", "8 bits", 10, 0.5, 0.4, 1, 6, 7, 3)
    >>> row.lost_zeros
    1

    Args:
        layer: Name of the layer in the twin.
        weight: Name of the weight.
        trained_as: How the layer computes: `"8 bits"`, `"clusters"`, or
            `"float"`.
        size: Number of weights.
        zeros_before: Share of zeros before the training, in [0, 1].
        zeros: Share of zeros now.
        lost_zeros: Number of weights that were zero and are not now.
        values_before: Number of different values before the training.
        values: Number of different values now.
        channel_values: The same in one output channel, the largest of all
            channels. Convolutions have a scale per channel in the file, so
            that a channel holds at most this number of integers.
    """

    layer: str
    weight: str
    trained_as: str
    size: int
    zeros_before: float
    zeros: float
    lost_zeros: int
    values_before: int
    values: int
    channel_values: int


@dataclass(frozen=True)
class TwinReport(Report):
    """Zeros and values of all kernels, before and after a training.

    Example:

    >>> row = KernelRow("fc", "kernel", "8 bits", 10, 0.5, 0.5, 0, 6, 6, 3)
    >>> TwinReport((row,)).lost_zeros
    0

    Args:
        kernels: One row per weight with two axes or more.
        notes: What was skipped or left out.
    """

    kernels: tuple[KernelRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def lost_zeros(self) -> int:
        """Number of weights that were zero and are not now."""
        return sum(row.lost_zeros for row in self.kernels)

    def __str__(self) -> str:
        headers = [
            "kernel",
            "trained as",
            "weights",
            "zeros",
            "lost",
            "values",
            "per channel",
        ]
        rows = [
            [
                f"{row.layer}/{row.weight}",
                row.trained_as,
                row.size,
                f"{row.zeros_before:.1%} → {row.zeros:.1%}",
                row.lost_zeros,
                f"{row.values_before:,} → {row.values:,}",
                row.channel_values,
            ]
            for row in self.kernels[:MAX_ROWS]
        ]
        lines = [render(headers, rows, align="llrrrrr")]
        if (left := len(self.kernels) - MAX_ROWS) > 0:
            lines.append(f"{left} more kernels: `to_dict()`")
        return "\n".join([*lines, *self.notes])


def report_kernels(
    model: Any, before: Any, now: Any, notes: tuple[str, ...] = ()
) -> TwinReport:
    """Compares the kernels of two plain models.

    Args:
        model: The wrapped model, of which the table tells what is quantized.
        before: The plain model before the training.
        now: The plain model with the weights of now.
        notes: For the report.
    """
    return TwinReport(tuple(_compare(model, before, now)), notes)


def _compare(model: Any, before: Any, now: Any) -> Iterator[KernelRow]:
    kinds = {one.layer.name: one for one in model.layers if is_wrapper(one)}
    for layer in now.layers:
        old = before.get_layer(layer.name)
        for weight, start in zip(layer.weights, old.weights, strict=True):
            if len(weight.shape) < 2:
                continue
            values, first = weight.numpy(), start.numpy()
            name = weight.name.rpartition("/")[2].partition(":")[0]
            wrapper = kinds.get(layer.name, kinds.get(layer.name + DEPTHWISE))
            yield KernelRow(
                layer.name,
                name,
                _describe(wrapper, name),
                values.size,
                float(np.mean(first == 0)),
                float(np.mean(values == 0)),
                int(np.sum((first == 0) & (values != 0))),
                len(np.unique(first)),
                len(np.unique(values)),
                max(
                    len(np.unique(channel))
                    for channel in np.moveaxis(values, -1, 0)
                ),
            )


def _describe(wrapper: Any, weight: str) -> str:
    """Says how a wrapper trains a weight of its layer."""
    if wrapper is None:
        return "float"
    if hasattr(wrapper, "quantize_config"):
        config = wrapper.quantize_config
        pairs = config.get_weights_and_quantizers(wrapper.layer)
        return "8 bits" if pairs else "float"
    names = [key.partition("/")[0] for key in wrapper.cluster_centroids]
    return "clusters" if weight in names else "float"
