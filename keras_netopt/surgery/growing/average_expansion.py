"""Average expansion (LEMON): growth of normalized units by any number.

Layer normalization preserves its outputs if every new unit is the mean of the
old ones, RMS normalization if every new unit is zero, after scale and epsilon
are corrected by the ratio of the widths. The layers that make the units must
be linear, so that the mean of their weights makes the mean of the units.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_netopt.graph.layer_paths import describe_operation
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import IN, OUT, UnsupportedLayer
from keras_netopt.surgery.edits.edit_plan import NewPositions
from keras_netopt.surgery.growing.new_units import (
    GrowthPlan,
    RandomOutgoingWeights,
    distribute_evenly,
)

MEAN, ZERO, OTHER = "mean", "zero", "other"
NORMS = {
    layers.LayerNormalization: MEAN,
    layers.RMSNormalization: ZERO,
}
# Linear in the weights that make their units.
LINEAR = (
    layers.Dense,
    layers.EinsumDense,
    layers.Embedding,
    layers.MultiHeadAttention,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
)
SAME = (layers.Dropout, layers.SpatialDropout1D, layers.Identity)


@dataclass(frozen=True)
class AverageExpansion:
    """Growth of a residual stream that normalizations compute over.

    `norms` are these normalizations; `ratio` is the old number of units
    divided by the new one.
    """

    growth: GrowthPlan
    norms: tuple[Any, ...]
    ratio: float

    def rescale_epsilons(self) -> None:
        """Rescales the epsilons, after the variables have grown."""
        for norm in self.norms:
            norm.epsilon *= self.ratio


def plan_average_expansion(
    graph: ChannelGraph, groups: np.ndarray, extra: int, seed: int
) -> AverageExpansion:
    """Plans `extra` units and preserves the normalizations over all `groups`.

    Raises `UnsupportedLayer` with the name of the first layer on the way that
    is not linear.
    """
    stream = _ResidualStream(graph, groups)
    stream.trace()
    rng = np.random.default_rng([seed, 0])
    copies, added = distribute_evenly(graph, groups, extra, rng)
    growth = GrowthPlan(copies, incoming=stream.incoming)
    growth.outgoing = _OutgoingWhereZero(
        RandomOutgoingWeights(graph, seed, scale=1.0), stream
    )
    for one, count in added.items():
        growth.shares[one] = np.ones(count + 1)
        growth.new_numbers[one] = np.arange(-1, count)
    ratio = len(groups) / (len(groups) + extra)
    for norm in stream.norms:
        scale = getattr(norm, "gamma", getattr(norm, "scale", None))
        if not hasattr(scale, "shape"):
            raise UnsupportedLayer(
                f"{describe_operation(norm)} has no scale to rescale"
            )
        growth.factors[id(scale)] = ratio**0.5
    return AverageExpansion(growth, tuple(stream.norms), ratio)


class _ResidualStream:
    """The content of new units ("mean", "zero", "other") in each tensor."""

    def __init__(self, graph: ChannelGraph, groups: np.ndarray) -> None:
        self.graph = graph
        self.groups = np.unique(groups)
        self.norms: list[Any] = []
        self.target = MEAN
        self._content: dict[int, str] = {}
        self._consumed: dict[int, set[str]] = {}

    def trace(self) -> None:
        """Traces the calls of the model, in order."""
        model = self.graph.model
        nodes = list_calls(model) if is_graph_model(model) else ()
        calls = [node for node in nodes if not node.is_input]
        kinds = {
            NORMS[type(node.operation)]
            for node in calls
            if type(node.operation) in NORMS and self._carriers(node, "in")
        }
        self.target = ZERO if kinds == {ZERO} else MEAN
        for node in calls:
            held = [self._content[id(t)] for t in self._carriers(node, "in")]
            if held:
                self._consumed.setdefault(id(node.operation), set()).update(
                    held
                )
            for tensor in self._carriers(node, "out"):
                self._content[id(tensor)] = self._output_content(node, held)
        followed = {describe_operation(norm) for norm in self.norms}
        others = self.graph.normalizers(self.groups) - followed
        if others:
            raise UnsupportedLayer(
                f"{', '.join(sorted(others))} is not a layer or RMS "
                "normalization at the top level of the model"
            )

    def is_zero_input(self, layer: Any) -> bool:
        """Whether every new unit in the inputs of a layer is zero."""
        return self._consumed.get(id(layer), {OTHER}) == {ZERO}

    def incoming(
        self, positions: NewPositions, old: np.ndarray
    ) -> np.ndarray | None:
        """Returns the incoming weights of new units."""
        if positions.coupled_axis.role != OUT:
            return None
        axis = positions.coupled_axis.axis
        mean = old.mean(axis=axis, keepdims=True)
        mean = np.repeat(mean, len(positions.indices), axis=axis)
        return mean if self.target == MEAN else np.zeros_like(mean)

    def _carriers(self, node: Any, side: str) -> list[Any]:
        tensors = node.outputs if side == "out" else node.input_tensors
        return [t for t in tensors if self._carries(t)]

    def _carries(self, tensor: Any) -> bool:
        found = False
        for axis, ids in self.graph.channel_axes(tensor).items():
            own = self.graph.group_of[ids]
            inside = np.isin(own, self.groups)
            if not inside.any():
                continue
            is_last = axis == len(tensor.shape) - 1
            if not is_last or not np.array_equal(np.sort(own), self.groups):
                raise UnsupportedLayer(
                    f"a tensor of shape {tuple(tensor.shape)} contains only "
                    "some of the units, or not on its last axis"
                )
            found = True
        return found

    def _output_content(self, node: Any, held: list[str]) -> str:
        """Returns the content of new units in the output of a call."""
        one = node.operation
        if type(one) in NORMS:
            return self._normalized_content(one, node.input_tensors[0], held)
        if not held:
            return self.target if _is_linear(one) else OTHER
        if isinstance(one, SAME):
            return held[0]
        if isinstance(one, layers.Add) or _kind(node) == "Add":
            alone = len(held) == len(node.input_tensors)
            return held[0] if alone and len(set(held)) == 1 else OTHER
        if isinstance(one, LINEAR) and self._makes(one):
            return self.target if _is_linear(one) else OTHER
        return OTHER

    def _normalized_content(
        self, norm: Any, tensor: Any, held: list[str]
    ) -> str:
        axes = norm.axis if isinstance(norm.axis, list | tuple) else [norm.axis]
        rank = len(tensor.shape)
        if {axis % rank for axis in axes} != {rank - 1}:
            raise UnsupportedLayer(
                f"{describe_operation(norm)} normalizes over several axes"
            )
        if held != [self.target]:
            raise UnsupportedLayer(
                f"the input of {describe_operation(norm)} is not a sum of "
                "outputs of linear layers"
            )
        if all(norm is not one for one in self.norms):
            self.norms.append(norm)
        return ZERO

    def _makes(self, layer: Any) -> bool:
        """Whether a layer with such units as input also makes them."""
        return any(
            b.layer is layer
            and b.role == OUT
            and np.isin(self.graph.group_of[b.ids], self.groups).any()
            for b in self.graph.coupled_axes
        )


class _OutgoingWhereZero:
    """Random outgoing weights where new units are zero, else `None`."""

    def __init__(
        self, outgoing: RandomOutgoingWeights, stream: _ResidualStream
    ) -> None:
        self._outgoing = outgoing
        self._stream = stream

    def __call__(
        self, positions: NewPositions, old: np.ndarray
    ) -> np.ndarray | None:
        coupled_axis = positions.coupled_axis
        if coupled_axis.role == IN and self._stream.is_zero_input(
            coupled_axis.layer
        ):
            return self._outgoing(positions, old)
        return None


def _is_linear(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    plain = activation in (None, keras.activations.linear)
    return isinstance(layer, LINEAR) and plain


def _kind(node: Any) -> str:
    return type(node.operation).__name__
