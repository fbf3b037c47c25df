"""Finds the layers whose channels may be removed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.selectors import (
    Selector,
    as_patterns,
    find_matches,
    select,
)
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.layer_groups import LayerGroup, producer_path
from keras_netopt.surgery.channels.unchanged_layers import (
    EXCLUDED,
    NOT_INCLUDED,
    describe_fixed,
    group_reasons,
    with_remedy,
)
from keras_netopt.surgery.cutting.width_search import ChannelBlock

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


@dataclass(frozen=True)
class CutConstraints:
    """Which layers may be pruned, and how far.

    Args:
        round_to: Multiple of the new widths. Defaults to `None`: any width.
        min_channels: Channels that every layer keeps. Defaults to `8`.
        include: Layers to prune. Defaults to `None`.
        exclude: Layers not to prune. Defaults to `None`.
        allow_inexact: Whether to remove units that a normalization over the
            channels reads. Defaults to `False`.
        with_first: Whether the first convolution is pruned without `include`.
            Defaults to `False`.
        is_checked: Whether an earlier cut has checked `include`; its layers
            may have no more units to give. Defaults to `False`.
    """

    round_to: int | None = None
    min_channels: int = 8
    include: Selector | None = None
    exclude: Selector | None = None
    allow_inexact: bool = False
    with_first: bool = False
    is_checked: bool = False


@dataclass(frozen=True, eq=False)
class CutCandidates:
    """The layers of a model, divided into those to prune and the rest.

    Args:
        blocks: The blocks of units that may be removed.
        producers: For each block, the layer that names it.
        widths: Current number of units of each block.
        skipped: Layers that are not pruned, each with the reason.
    """

    blocks: tuple[ChannelBlock, ...]
    producers: dict[str, Any]
    widths: dict[str, int]
    skipped: tuple[tuple[str, str], ...]


def find_candidates(
    graph: ChannelGraph,
    limits: CutConstraints,
    before: Mapping[str, int] | None = None,
    refused: Mapping[str, str] | None = None,
) -> CutCandidates:
    """Lists the blocks of units that may be removed.

    By default that is every layer whose units may be removed, except the first
    convolution. `include` limits it to the layers that it selects and the
    layers that are coupled to them. "first" and "last" are counted among the
    layers whose units may be removed.

    `before` holds the widths of the blocks before the first of several cuts;
    `None` if this is the first cut. `refused` holds the reasons why units of
    some producers cannot be removed, by name.
    """
    finder = _CandidateFinder(graph, limits, before or {}, refused or {})
    for one in graph.layer_groups():
        finder.add(one)
    if not limits.is_checked:
        finder.check_include()
    blocks = tuple(finder.blocks)
    widths = {block.name: len(block) for block in blocks}
    return CutCandidates(blocks, finder.producers, widths, finder.skipped)


def _first_convolution(graph: ChannelGraph) -> str | None:
    for layer in graph.producers:
        if isinstance(layer, CONVOLUTIONS):
            return graph.path(layer)
    return None


class _CandidateFinder:
    """Collects the blocks and the skipped layers of one graph."""

    def __init__(
        self,
        graph: ChannelGraph,
        limits: CutConstraints,
        before: Mapping[str, int],
        refused: Mapping[str, str],
    ) -> None:
        self.graph = graph
        self.known = refused
        self.limits = limits
        self.before = before
        self.refused: list[tuple[str, str]] = []
        self.included = self._select(limits.include, "include")
        self.excluded = self._select(limits.exclude, "exclude")
        self.first = _first_convolution(graph)
        self.structure = _structure(graph)
        self.blocks: list[ChannelBlock] = []
        self.producers: dict[str, Any] = {}
        self.parts: dict[str, int] = {}
        self.skipped: tuple[tuple[str, str], ...] = ()

    def add(self, one: LayerGroup) -> None:
        """Adds the blocks of a set of coupled layers, or skips the set."""
        paths = {self.graph.path(layer) for layer in one.layers}
        groups = self._usable(one)
        reason = self._protection(one, groups)
        if reason is not None:
            self._refuse(one.layers, reason)
            return
        reason = self._choice(paths)
        if reason is not None:
            self._skip(one.layers, reason)
            return
        for block, layer in self._split(one, groups):
            if block.original <= block.floor:
                reason = (
                    f"has {len(block)} units, of which `min_channels` and "
                    f"`round_to` keep {block.floor}"
                )
                self._refuse([layer], reason)
            else:
                self.blocks.append(block)
                self.producers[block.name] = layer

    def check_include(self) -> None:
        """Raises if `include` matches only layers that cannot be pruned."""
        if self.blocks or not self.refused:
            return
        rows = group_reasons(tuple(self.refused))
        listed = ", ".join(f"{names} ({why})" for names, why in rows)
        raise ValueError(
            "Argument `include` must match at least one layer that can be "
            f"pruned, but it matches: {listed}. "
            f"Received: include={self.limits.include!r}"
        )

    def _refuse(self, layers: Sequence[Any], reason: str) -> None:
        """Skips layers that cannot be pruned even if `include` names them."""
        self._skip(layers, reason)
        self.refused += [
            (producer_path(self.graph, layer), with_remedy(reason))
            for layer in layers
            if self.graph.path(layer) in self.included
        ]

    def _skip(self, layers: Iterable[Any], reason: str) -> None:
        names = [producer_path(self.graph, layer) for layer in layers]
        self.skipped += tuple((name, reason) for name in names)

    def _select(self, selector: Selector | None, name: str) -> set[str]:
        """Returns the paths of the layers that a selector selects."""
        graph = self.graph
        layers = {graph.path(key): _layer(key) for key in graph.producers}
        removable = {
            graph.path(key)
            for one in graph.layer_groups()
            if self._protection(one, self._usable(one)) is None
            for key in one.layers
        }
        ends = [layer for path, layer in layers.items() if path in removable]
        places = list(layers.items())
        others = [
            (path, layer)
            for path, layer in graph.layers()
            if path not in layers and layer is not graph.model
        ]
        kind = "layer with channels"
        selected: set[str] = set()
        for pattern in as_patterns(selector):
            found = {
                places[place][0]
                for place in find_matches(pattern, places, graph.model, ends)
            }
            rest = [] if found else self._match_others(pattern, others)
            if not found and not rest:
                # Raises, with the nearest paths.
                select(pattern, places, graph.model, name, kind=kind, ends=ends)
            if name == "include":
                self.refused += [
                    (path, describe_fixed(graph, layer)) for path, layer in rest
                ]
            selected |= found
        return selected

    def _match_others(
        self, pattern: Any, others: list[tuple[str, Any]]
    ) -> list[tuple[str, Any]]:
        """Returns the layers that make no units and match a pattern."""
        try:
            found = find_matches(pattern, others, self.graph.model, ())
        except Exception:  # A callable for layers with units.
            return []
        rows = [others[place] for place in sorted(found)]
        # A layer stands for those inside it.
        paths = tuple(f"{path}/" for path, _ in rows)
        return [row for row in rows if not row[0].startswith(paths)]

    def _usable(self, one: LayerGroup) -> np.ndarray:
        if self.limits.allow_inexact:
            return one.free
        normed = [c in self.graph.normalized_by for c in one.free.tolist()]
        return one.free[~np.array(normed, bool)]

    def _protection(self, one: LayerGroup, groups: np.ndarray) -> str | None:
        if one.reason is not None:
            return one.reason
        if not len(groups):
            return (
                f"{one.normalized_by} mixes its channels (see `allow_inexact`)"
            )
        if any(_is_size(layer) for layer in one.layers):
            return "the size of the heads is kept (see `surgery.remove`)"
        names = [producer_path(self.graph, key) for key in one.layers]
        return next((self.known[k] for k in names if k in self.known), None)

    def _choice(self, paths: set[str]) -> str | None:
        if paths & self.excluded:
            return EXCLUDED
        if self.limits.include is not None:
            return None if paths & self.included else NOT_INCLUDED
        if self.first in paths and not self.limits.with_first:
            return "first convolution (name it in `include` to prune it)"
        return None

    def _split(
        self, one: LayerGroup, groups: np.ndarray
    ) -> list[tuple[ChannelBlock, Any]]:
        """Splits a set into blocks that the same layers produce."""
        counts = np.stack(
            [
                np.bincount(
                    self.graph.units(layer), minlength=self.graph.group_count
                )[groups]
                for layer in one.layers
            ]
        )
        _, part = np.unique(counts, axis=1, return_inverse=True)
        part = part.reshape(-1)
        found = []
        for number in dict.fromkeys(part.tolist()):
            own = groups[part == number]
            makers = [
                (layer, int(count) * _width(layer))
                for layer, count in zip(
                    one.layers, counts[:, part == number][:, 0], strict=True
                )
                if count
            ]
            found.append((self._block(own, makers), makers[0][0]))
        return found

    def _block(
        self, groups: np.ndarray, makers: list[tuple[Any, int]]
    ) -> ChannelBlock:
        name = self.graph.path(makers[0][0])
        number = self.parts.get(name, 0)
        self.parts[name] = number + 1
        name = f"{name}[{number}]" if number else name
        least, multiple = self.limits.min_channels, self.limits.round_to or 1
        steps = [multiple // math.gcd(multiple, width) for _, width in makers]
        step = math.lcm(*steps)
        floor = max(math.ceil(least / width) for _, width in makers)
        return ChannelBlock(
            name,
            groups,
            kind=self.structure.get(int(groups[0])),
            before=self.before.get(name),
            step=step,
            floor=max(1, math.ceil(floor / step)) * step,
        )


def _layer(key: Any) -> Any:
    """Returns the layer of a key of `ChannelGraph.producers`."""
    return key[0] if isinstance(key, tuple) else key


def _is_size(layer: Any) -> bool:
    return isinstance(layer, tuple) and layer[1].endswith("_size")


def _width(layer: Any) -> int:
    """Returns the channels per unit: a head has the width of its values."""
    if isinstance(layer, keras.layers.MultiHeadAttention):
        return int(layer.value_dim or layer.key_dim)
    return 1


def _structure(graph: ChannelGraph) -> dict[int, tuple[Any, ...]]:
    """Returns the layers that produce and read each group of units."""
    found: dict[int, list[Any]] = {}
    for coupled_axis in graph.coupled_axes:
        part = (
            type(coupled_axis.layer).__name__,
            coupled_axis.variable.name,
            coupled_axis.axis,
            coupled_axis.role,
        )
        for one in np.unique(graph.group_of[coupled_axis.ids]).tolist():
            found.setdefault(one, []).append(part)
    return {one: tuple(sorted(parts)) for one, parts in found.items()}
