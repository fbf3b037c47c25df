"""Computes parameters and MACs of a model after a cut, without making it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from keras_netopt.cost.count_macs import count_macs, counts_inner_calls
from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.layers import own_variables
from keras_netopt.graph.symbolic import input_specs
from keras_netopt.graph.trace_calls import graph_nodes
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import IN, OUT, PASS, CoupledAxis

Shares = Mapping[int, float]


@dataclass(frozen=True, eq=False)
class _VariableSize:
    """Size of a variable as a function of the kept groups."""

    fixed: int
    axes: tuple[np.ndarray, ...]

    def size(self, kept: np.ndarray) -> int:
        return self.fixed * math.prod(int(kept[a].sum()) for a in self.axes)


_ONE = _VariableSize(1, ())
ROLES = (IN, OUT, PASS)


@dataclass(frozen=True, eq=False)
class _OperationMacs:
    """MACs of an operation, proportional to the size of some variables."""

    macs: float
    shapes: tuple[_VariableSize, ...]
    inside: tuple[int, ...] = ()

    def at(self, kept: np.ndarray) -> float:
        return self.macs * sum(shape.size(kept) for shape in self.shapes)


class CostModel:
    """Computes parameters and MACs for any set of kept units.

    `kept` is a boolean array with one entry per group of `graph`. Parameters
    are exact. MACs are exact for dense layers and convolutions, where they are
    the kernel size times the number of positions. MACs of attention scores are
    proportional to the heads. MACs of other operations without weights are
    constant.
    """

    def __init__(self, graph: ChannelGraph) -> None:
        self._axes: dict[int, list[CoupledAxis]] = {}
        for axis in graph.coupled_axes:
            self._axes.setdefault(id(axis.variable), []).append(axis)
        self._group_of = graph.group_of
        self._weights = {
            id(v): self._variable_size(v) for v in graph.model.weights
        }
        nodes = graph_nodes(
            graph.model, enter=counts_inner_calls, containers=True
        )
        self._operations = [
            replace(macs, inside=(*map(id, n.owners), id(n.operation)))
            for n in nodes
            if (macs := self._operation_macs(n))
        ]
        specs = keras.tree.flatten(input_specs(graph.model))
        batch = specs[0].shape[0] or 1
        self._batch = batch

    def params(
        self,
        kept: np.ndarray,
        shares: Mapping[int, float] = MappingProxyType({}),
    ) -> int:
        """Returns the number of weights.

        `shares` holds the share of a variable's size that is left, by
        `id(variable)`.
        """
        sizes = (
            shape.size(kept) * shares.get(key, 1)
            for key, shape in self._weights.items()
        )
        return round(sum(sizes))

    def macs(
        self,
        kept: np.ndarray,
        shares: Mapping[int, float] = MappingProxyType({}),
    ) -> float:
        """Returns the MACs of one sample.

        `shares` holds the share of the MACs of a layer, and of all calls
        inside it, that is left, by `id(layer)`.
        """
        total = sum(
            one.at(kept) * math.prod(shares.get(key, 1) for key in one.inside)
            for one in self._operations
        )
        return total / self._batch

    def _variable_size(
        self, variable: Any, roles: tuple[str, ...] = ROLES
    ) -> _VariableSize:
        bound = self._axes.get(id(variable), [])
        fixed = [
            size
            for axis, size in enumerate(variable.shape)
            if all(b.axis != axis for b in bound)
        ]
        followed = [b for b in bound if b.role in roles]
        fixed += [len(b.ids) for b in bound if b.role not in roles]
        axes = tuple(self._group_of[b.ids] for b in followed)
        return _VariableSize(math.prod(fixed), axes)

    def _operation_macs(self, node: GraphNode) -> _OperationMacs | None:
        macs = count_macs(node)
        if not macs:
            return None
        kernels = self._kernels(node)
        shapes = tuple(self._variable_size(v) for v in kernels)
        if not kernels:
            # Attention scores are proportional to the heads, not the width.
            shapes = self._makers(node.owners)
        size = sum(shape.size(np.ones(len(self._group_of))) for shape in shapes)
        return (
            _OperationMacs(macs / size, shapes)
            if size
            else _OperationMacs(macs, (_ONE,))
        )

    def _kernels(self, node: GraphNode) -> list[Any]:
        """Returns the matrices with coupled axes that a call uses."""
        own: list[Any] = []
        if isinstance(node.operation, keras.layers.Layer):
            own = own_variables(node.operation)
        own += [leaf for leaf in node.inputs if id(leaf) in self._axes]
        return [v for v in own if id(v) in self._axes and len(v.shape) > 1]

    def _makers(
        self, owners: tuple[keras.Operation, ...]
    ) -> tuple[_VariableSize, ...]:
        """Returns the out axes of the first matrix of the innermost owner.

        A convolutional recurrent cell splits its kernels, which have one
        number of positions, into gates: its MACs are proportional to them.
        """
        if hasattr(owners[-1], "recurrent_conv"):
            cell: Any = owners[-1]
            kernels = (cell.kernel, cell.recurrent_kernel)
            return tuple(self._variable_size(kernel) for kernel in kernels)
        for owner in reversed(owners[1:]):
            for variable in getattr(owner, "weights", ()):
                bound = self._axes.get(id(variable), [])
                if len(variable.shape) > 1 and any(
                    b.role == OUT for b in bound
                ):
                    return (self._variable_size(variable, (OUT,)),)
        return ()
