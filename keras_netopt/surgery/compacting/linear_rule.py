"""Dense layers and convolutions: linear in their inputs, then a function."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.compacting.flow_rule import FlowRule
from keras_netopt.surgery.compacting.read_edge import (
    FoldTarget,
    LinearMap,
    ReadEdge,
    apply_function,
    read_weight,
)
from keras_netopt.surgery.compacting.tensor_facts import TensorFacts

L = keras.layers
BORDER = (
    "pads its input with zeros, so that a constant other than 0 has another "
    "effect at the border"
)
CONVOLUTIONS = (L.Conv1D, L.Conv2D, L.Conv3D)
TRANSPOSED = (L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose)
SEPARABLE = (L.SeparableConv1D, L.SeparableConv2D)


class LinearRule(FlowRule):
    """A layer that is linear in its inputs, then an elementwise function.

    Args:
        call: A `ListedCall`.
        facts: The facts of all tensors.
        find_target: `callable(call) -> FoldTarget | None` for a layer without
            a bias.
    """

    is_known = True

    def __init__(
        self,
        call: Any,
        facts: TensorFacts,
        find_target: Callable[[Any], FoldTarget | None],
    ) -> None:
        super().__init__(call, facts)
        self.layer = call.layer
        self._tensor, self._output = call.arguments[0], call.outputs[0]
        self._axis = channel_axis(self.layer, call)
        bias = self.layer.bias
        target = find_target(call) if bias is None else FoldTarget(bias)
        self._map = make_linear_map(self.layer, target)

    def forward(self) -> None:
        values = self._values()
        added = self._map.deltas(values).sum(axis=0)
        if self.layer.bias is not None:
            added = added + read_weight(self.layer.bias)
        values = apply_function(self.layer.activation, added)
        if self.facts.axis(self._output) == self._output_axis():
            self.facts.set_values(self._output, values)

    def backward(self) -> None:
        edge = self.edges()[0]
        self.facts.use(self._tensor, edge.needed, self._axis)

    def edges(self) -> list[ReadEdge]:
        used = self.facts.used(
            self._output, self._output_axis(), self._map.reads.shape[1]
        )
        return [self._map.edge(self._values(), used)]

    def _values(self) -> np.ndarray:
        size = self._map.reads.shape[0]
        return self.facts.values(self._tensor, self._axis, size)

    def _output_axis(self) -> int:
        return self._axis % len(self._output.shape)


def make_linear_map(layer: Any, target: FoldTarget | None) -> LinearMap:
    """Returns the linear function of a dense layer or convolution."""
    if isinstance(layer, L.Dense):
        kernel = read_weight(layer.kernel)
        return LinearMap(layer, layer.kernel, 0, kernel != 0, kernel, target)
    exact = ignores_border(layer)
    reason = f"'{layer.name}' {BORDER}"
    if isinstance(layer, SEPARABLE):
        depth = read_weight(layer.depthwise_kernel)
        depth = depth.reshape(-1, depth.shape[-2])  # One filter per channel.
        point = read_weight(layer.pointwise_kernel)
        point = point.reshape(point.shape[-2:])
        reads = (depth != 0).any(axis=0)[:, None] & (point != 0)
        gain = depth.sum(axis=0)[:, None] * point
        variable, axis = layer.pointwise_kernel, layer.rank
    else:
        kernel = read_weight(layer.kernel)
        taps = kernel.reshape(-1, *kernel.shape[-2:])
        variable, axis = layer.kernel, layer.rank
        if isinstance(layer, TRANSPOSED):
            taps, axis, exact = taps.swapaxes(1, 2), layer.rank + 1, False
            reason = (
                f"'{layer.name}' spreads a constant other than 0 unevenly "
                "over its output"
            )
        reads, gain = (taps != 0).any(axis=0), taps.sum(axis=0)
    return LinearMap(
        layer, variable, axis, reads, gain if exact else None, target, reason
    )


def ignores_border(layer: Any) -> bool:
    """Whether a convolution reads no zeros around its input."""
    return math.prod(layer.kernel_size) == 1 or layer.padding == "valid"


def channel_axis(layer: Any, call: Any) -> int:
    """Returns the axis of the channels, not negative."""
    rank = len(call.arguments[0].shape)
    if getattr(layer, "data_format", None) == "channels_first":
        return 1 + (layer is not call.operation)
    return rank - 1
