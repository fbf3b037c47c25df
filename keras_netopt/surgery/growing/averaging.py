"""Growth under a normalization by any number of units.

Layer normalization leaves its outputs alone if every new unit is the mean of
the old ones, RMS normalization if every new unit is zero, once scale and
epsilon are corrected by the ratio of the widths. Whatever makes the units must
be linear, so that it can make such a unit of the right weights.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_netopt.surgery.edits.plan import Fresh
from keras_netopt.surgery.graph.channel_graph import (
    IN,
    OUT,
    ChannelGraph,
    describe,
    functional,
    nodes,
)
from keras_netopt.surgery.graph.units import Unsupported
from keras_netopt.surgery.growing.new_units import Growth, Outgoing, spread_out

MEAN, ZERO, OTHER = "mean", "zero", "other"
NORMS = {
    layers.LayerNormalization: MEAN,
    layers.RMSNormalization: ZERO,
}
# Linear, and nothing but weights bound to their units decides the outputs.
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
class Averaging:
    """How a stream grows that normalizations read.

    Args:
        growth: Where new units go and how they begin.
        norms: The normalizations over the stream.
        ratio: Old by new number of units.
    """

    growth: Growth
    norms: tuple[Any, ...]
    ratio: float

    def settle(self) -> None:
        """Corrects the epsilons, once the variables have grown."""
        for norm in self.norms:
            norm.epsilon *= self.ratio


def average(
    graph: ChannelGraph, classes: np.ndarray, extra: int, seed: int
) -> Averaging:
    """Plans growth that a normalization over all units does not notice.

    Args:
        graph: The graph.
        classes: All classes that the normalization reads.
        extra: Number of units to add.
        seed: Seed of the new outgoing weights.

    Returns:
        The growth.

    Raises:
        Unsupported: If something on the way is not linear; the text names it.
    """
    stream = _Stream(graph, classes)
    stream.follow()
    rng = np.random.default_rng([seed, 0])
    copies, added = spread_out(graph, classes, extra, rng)
    growth = Growth(copies, incoming=stream.incoming)
    growth.outgoing = _Silenced(Outgoing(graph, seed, scale=1.0), stream)
    for one, count in added.items():
        growth.shares[one] = np.ones(count + 1)
        growth.fresh[one] = np.arange(-1, count)
    ratio = len(classes) / (len(classes) + extra)
    for norm in stream.norms:
        scale = getattr(norm, "gamma", getattr(norm, "scale", None))
        if not hasattr(scale, "shape"):
            raise Unsupported(f"{describe(norm)} has no scale to correct")
        growth.factors[id(scale)] = ratio**0.5
    return Averaging(growth, tuple(stream.norms), ratio)


class _Stream:
    """What new units hold in each tensor that carries them."""

    def __init__(self, graph: ChannelGraph, classes: np.ndarray) -> None:
        self.graph = graph
        self.classes = np.unique(classes)
        self.norms: list[Any] = []
        self.target = MEAN
        self._holds: dict[int, str] = {}
        self._read: dict[int, set[str]] = {}

    def follow(self) -> None:
        """Goes through the calls of the model, in order."""
        calls = [
            node
            for node in nodes(functional(self.graph.model))
            if not node.is_input
        ]
        kinds = {
            NORMS[type(node.operation)]
            for node in calls
            if type(node.operation) in NORMS and self._carriers(node, "in")
        }
        self.target = ZERO if kinds == {ZERO} else MEAN
        for node in calls:
            held = [self._holds[id(t)] for t in self._carriers(node, "in")]
            if held:
                self._read.setdefault(id(node.operation), set()).update(held)
            for tensor in self._carriers(node, "out"):
                self._holds[id(tensor)] = self._after(node, held)
        followed = {describe(norm) for norm in self.norms}
        others = self.graph.normalizers(self.classes) - followed
        if others:
            raise Unsupported(
                f"{', '.join(sorted(others))} is no layer or RMS normalization "
                "at the top level of the model"
            )

    def silent(self, layer: Any) -> bool:
        """Whether all that a layer reads of new units is zero."""
        return self._read.get(id(layer), {OTHER}) == {ZERO}

    def incoming(self, fresh: Fresh, old: np.ndarray) -> np.ndarray | None:
        """Weights that make new units."""
        if fresh.binding.role != OUT:
            return None
        axis = fresh.binding.axis
        mean = old.mean(axis=axis, keepdims=True)
        mean = np.repeat(mean, len(fresh.positions), axis=axis)
        return mean if self.target == MEAN else np.zeros_like(mean)

    def _carriers(self, node: Any, side: str) -> list[Any]:
        tensors = node.outputs if side == "out" else node.input_tensors
        return [t for t in tensors if self._carries(t)]

    def _carries(self, tensor: Any) -> bool:
        found = False
        for axis, ids in self.graph.axes(tensor).items():
            own = self.graph.class_of[ids]
            inside = np.isin(own, self.classes)
            if not inside.any():
                continue
            is_last = axis == len(tensor.shape) - 1
            if not is_last or not np.array_equal(np.sort(own), self.classes):
                raise Unsupported(
                    f"a tensor of shape {tuple(tensor.shape)} holds only some "
                    "of the units, or not on its last axis"
                )
            found = True
        return found

    def _after(self, node: Any, held: list[str]) -> str:
        """What new units hold behind a call."""
        one = node.operation
        if type(one) in NORMS:
            return self._behind_norm(one, node.input_tensors[0], held)
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

    def _behind_norm(self, norm: Any, tensor: Any, held: list[str]) -> str:
        axes = norm.axis if isinstance(norm.axis, list | tuple) else [norm.axis]
        rank = len(tensor.shape)
        if {axis % rank for axis in axes} != {rank - 1}:
            raise Unsupported(f"{describe(norm)} computes over several axes")
        if held != [self.target]:
            raise Unsupported(
                f"what {describe(norm)} reads is not a sum of outputs of "
                "linear layers alone"
            )
        if all(norm is not one for one in self.norms):
            self.norms.append(norm)
        return ZERO

    def _makes(self, layer: Any) -> bool:
        """Whether a layer that reads such units makes them too."""
        return any(
            b.layer is layer
            and b.role == OUT
            and np.isin(self.graph.class_of[b.ids], self.classes).any()
            for b in self.graph.bindings
        )


class _Silenced:
    """Random outgoing weights where new units are zero, else none."""

    def __init__(self, outgoing: Outgoing, stream: _Stream) -> None:
        self._outgoing = outgoing
        self._stream = stream

    def __call__(self, fresh: Fresh, old: np.ndarray) -> np.ndarray | None:
        binding = fresh.binding
        if binding.role == IN and self._stream.silent(binding.layer):
            return self._outgoing(fresh, old)
        return None


def _is_linear(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    plain = activation in (None, keras.activations.linear)
    return isinstance(layer, LINEAR) and plain


def _kind(node: Any) -> str:
    return type(node.operation).__name__
