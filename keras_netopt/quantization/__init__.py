"""Quantization of kernels and activations during training."""

from keras_netopt.quantization.range_lifecycle import (
    load_ranges,
    remove_ranges,
)
from keras_netopt.quantization.ranges import ActivationRanges

__all__ = [
    "ActivationRanges",
    "load_ranges",
    "remove_ranges",
]
