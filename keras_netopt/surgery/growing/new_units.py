"""Initialization of new units: copied, random, zero or in pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.edits.edit_plan import (
    EditPlan,
    FillFunction,
    NewPositions,
)

NEW_UNITS = ("net2net", "zero", "paired", "gradmax", "random")
# Norm of a new unit's outgoing weights, as a share of the mean of old ones.
OUTGOING_SCALE = 0.5
SHARE_RANGE = 0.3, 0.7  # Before division by their sum.


@dataclass
class GrowthPlan:
    """The arguments of the `EditPlan` of a growth.

    Args:
        copies: Number of copies of each group.
        shares: By group, the share of each copy.
        new_numbers: By group, the number of the new unit of each copy, or -1.
        outgoing: Values of the outgoing weights of new units, or `None`.
        incoming: Values of the incoming weights of new units, or `None`.
        added: Arrays to be added to weights, by `id(variable)`.
        factors: Factors of whole variables, by `id(variable)`.
    """

    copies: np.ndarray
    shares: dict[int, np.ndarray] = field(default_factory=dict)
    new_numbers: dict[int, np.ndarray] = field(default_factory=dict)
    outgoing: FillFunction | None = None
    incoming: FillFunction | None = None
    added: dict[int, np.ndarray] = field(default_factory=dict)
    factors: dict[int, float] = field(default_factory=dict)

    @property
    def has_zero_outgoing(self) -> bool:
        """Whether some new units start with zero outgoing weights."""
        return any(
            bool((np.asarray(self.shares[one])[numbers >= 0] == 0).any())
            for one, numbers in self.new_numbers.items()
        )

    def edit_plan(self, graph: ChannelGraph, seed: int) -> EditPlan:
        """Creates the edit plan."""
        return EditPlan(graph, seed=seed, **vars(self))


def plan_growth(
    graph: ChannelGraph,
    groups: Sequence[int] | np.ndarray,
    extra: int,
    kind: str,
    seed: int,
) -> GrowthPlan:
    """Chooses the positions and the initialization of new units.

    `extra` is the number of new units of the layer, `kind` one of `NEW_UNITS`;
    "gradmax" uses the positions of "zero".
    """
    rng = np.random.default_rng([seed, 0])
    if kind == "net2net":
        return _replicate(graph, groups, extra, rng)
    if kind == "paired":
        return _pair(graph, groups, extra, rng, seed)
    copies, added = distribute_evenly(graph, groups, extra, rng)
    growth = GrowthPlan(copies)
    share = 1.0 if kind == "random" else 0.0
    for one, count in added.items():
        growth.shares[one] = np.array([1.0] + [share] * count)
        growth.new_numbers[one] = np.arange(-1, count)
    if kind == "random":
        growth.outgoing = RandomOutgoingWeights(graph, seed, scale=1.0)
    return growth


def plan_replication(
    graph: ChannelGraph, groups: np.ndarray, times: int, seed: int
) -> GrowthPlan:
    """Plans `times` copies of every group, with shares drawn from `seed`."""
    rng = np.random.default_rng([seed, 0])
    return _replicate(graph, groups, len(groups) * (times - 1), rng)


def _replicate(
    graph: ChannelGraph, groups: Any, extra: int, rng: np.random.Generator
) -> GrowthPlan:
    """Copies old units with uneven shares, so that the copies diverge."""
    copies, added = distribute_evenly(graph, groups, extra, rng)
    growth = GrowthPlan(copies)
    for one, count in added.items():
        shares = rng.uniform(*SHARE_RANGE, count + 1)
        growth.shares[one] = shares / shares.sum()
    return growth


def _pair(
    graph: ChannelGraph,
    groups: Any,
    extra: int,
    rng: np.random.Generator,
    seed: int,
) -> GrowthPlan:
    """Pairs with opposite outgoing weights; an odd unit has zero weights."""
    copies, added = distribute_evenly(graph, groups, -(-extra // 2), rng)
    growth = GrowthPlan(
        copies, outgoing=RandomOutgoingWeights(graph, seed, OUTGOING_SCALE)
    )
    left = extra
    for one, pairs in added.items():
        numbers, shares = [-1], [1.0]
        for number in range(pairs):
            both = left > 1
            numbers += [number, number] if both else [number]
            shares += [1.0, -1.0] if both else [0.0]
            left -= 2
        growth.copies[one] = len(numbers)
        growth.new_numbers[one] = np.array(numbers)
        growth.shares[one] = np.array(shares)
    return growth


def distribute_evenly(
    graph: ChannelGraph, groups: Any, extra: int, rng: np.random.Generator
) -> tuple[np.ndarray, dict[int, int]]:
    """Distributes new units evenly over groups, the remainder at random.

    Returns the number of copies of each group of the graph, and by group the
    number of new ones.
    """
    copies: np.ndarray = np.ones(graph.group_count, "int64")
    order = rng.permutation(np.asarray(groups))
    chosen = np.tile(order, -(-extra // len(order)))[:extra]
    np.add.at(copies, chosen, 1)
    return copies, {int(c): int(copies[c]) - 1 for c in np.unique(chosen)}


class RandomOutgoingWeights:
    """Random outgoing weights with `scale` times the mean norm of the old."""

    def __init__(self, graph: ChannelGraph, seed: int, scale: float) -> None:
        self._numbers = {
            (id(b.variable), b.axis): number
            for number, b in enumerate(graph.coupled_axes)
        }
        self._seed = seed
        self._scale = scale

    def __call__(self, positions: NewPositions, old: np.ndarray) -> np.ndarray:
        coupled_axis = positions.coupled_axis
        number = self._numbers[(id(coupled_axis.variable), coupled_axis.axis)]
        rng = np.random.default_rng([self._seed, 1, number])
        rows = np.moveaxis(old, coupled_axis.axis, 0)
        norm = self._scale * mean_norm(rows)

        def sample(count: int) -> np.ndarray:
            values = rng.normal(size=(count, *rows.shape[1:]))
            norms = np.sqrt(np.square(values.reshape(count, -1)).sum(axis=1))
            return values * (norm / norms).reshape(-1, *[1] * (rows.ndim - 1))

        return np.moveaxis(
            positions.sample_slices(sample), 0, coupled_axis.axis
        )


def mean_norm(rows: np.ndarray) -> float:
    """Returns the mean Euclidean norm of the slices along axis 0."""
    flat = rows.reshape(len(rows), -1)
    return float(np.sqrt(np.square(flat).sum(axis=1)).mean())
