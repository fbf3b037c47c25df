"""Quantization of kernels and activations during training."""

from keras_netopt.quantization.quantization_report import (
    QuantizationReport,
    QuantizationRow,
    report,
)
from keras_netopt.quantization.quantize import quantize
from keras_netopt.quantization.range_lifecycle import (
    load_ranges,
    remove_ranges,
)
from keras_netopt.quantization.ranges import ActivationRanges
from keras_netopt.quantization.remove_masters import remove_masters

__all__ = [
    "ActivationRanges",
    "QuantizationReport",
    "QuantizationRow",
    "load_ranges",
    "quantize",
    "remove_masters",
    "remove_ranges",
    "report",
]
