"""How brand-new units begin: copies, random, silent or in pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_netopt.surgery.edits.plan import EditPlan, Fill, Fresh
from keras_netopt.surgery.graph.channel_graph import ChannelGraph

KINDS = ("net2net", "zero", "paired", "gradmax", "random")
# Of an old unit's outgoing weights: norm of a new one's.
OUTGOING_SCALE = 0.5
LOW, HIGH = 0.3, 0.7


@dataclass
class Growth:
    """What a plan is made of: how many copies of which classes, and how.

    Args:
        copies: Number of copies of each class.
        shares: By class, the share of each copy.
        fresh: By class, the number of the new unit of each copy, or -1.
        outgoing: Values of the weights that read new units, or `None`.
        incoming: Values of the weights that make new units, or `None`.
        added: Arrays to be added to weights, by `id(variable)`.
        factors: Factors of whole variables, by `id(variable)`.
    """

    copies: np.ndarray
    shares: dict[int, np.ndarray] = field(default_factory=dict)
    fresh: dict[int, np.ndarray] = field(default_factory=dict)
    outgoing: Fill | None = None
    incoming: Fill | None = None
    added: dict[int, np.ndarray] = field(default_factory=dict)
    factors: dict[int, float] = field(default_factory=dict)

    @property
    def is_silent(self) -> bool:
        """Whether some new units have no outgoing weights at first."""
        return any(
            bool((np.asarray(self.shares[one])[numbers >= 0] == 0).any())
            for one, numbers in self.fresh.items()
        )

    def plan(self, graph: ChannelGraph, seed: int) -> EditPlan:
        """Makes the plan."""
        return EditPlan(
            graph,
            self.copies,
            shares=self.shares,
            fresh=self.fresh,
            outgoing=self.outgoing,
            incoming=self.incoming,
            added=self.added,
            factors=self.factors,
            seed=seed,
        )


def grow(
    graph: ChannelGraph,
    classes: Sequence[int] | np.ndarray,
    extra: int,
    kind: str,
    seed: int,
) -> Growth:
    """Decides where new units go and how they begin.

    Args:
        graph: The graph.
        classes: The classes of units that may be copied or stand beside new
            ones.
        extra: New units of the layer.
        kind: One of `KINDS`; "gradmax" is placed as "zero" is.
        seed: Seed of the choice.

    Returns:
        The growth.
    """
    rng = np.random.default_rng([seed, 0])
    if kind == "net2net":
        return _replicate(graph, classes, extra, rng)
    if kind == "paired":
        return _pair(graph, classes, extra, rng, seed)
    copies, added = spread_out(graph, classes, extra, rng)
    growth = Growth(copies)
    share = 1.0 if kind == "random" else 0.0
    for one, count in added.items():
        growth.shares[one] = np.array([1.0] + [share] * count)
        growth.fresh[one] = np.arange(-1, count)
    if kind == "random":
        growth.outgoing = Outgoing(graph, seed, scale=1.0)
    return growth


def multiply(
    graph: ChannelGraph, classes: np.ndarray, times: int, seed: int
) -> Growth:
    """Replicates every class equally often.

    Args:
        graph: The graph.
        classes: The classes.
        times: Copies of each afterwards.
        seed: Seed of the shares.

    Returns:
        The growth.
    """
    rng = np.random.default_rng([seed, 0])
    return _replicate(graph, classes, len(classes) * (times - 1), rng)


def _replicate(
    graph: ChannelGraph, classes: Any, extra: int, rng: np.random.Generator
) -> Growth:
    """Copies old units; uneven shares let the copies part."""
    copies, added = spread_out(graph, classes, extra, rng)
    growth = Growth(copies)
    for one, count in added.items():
        drawn = rng.uniform(LOW, HIGH, count + 1)
        growth.shares[one] = drawn / drawn.sum()
    return growth


def _pair(
    graph: ChannelGraph,
    classes: Any,
    extra: int,
    rng: np.random.Generator,
    seed: int,
) -> Growth:
    """Twins with opposite outgoing weights, and one silent unit if odd."""
    copies, added = spread_out(graph, classes, -(-extra // 2), rng)
    growth = Growth(copies, outgoing=Outgoing(graph, seed, OUTGOING_SCALE))
    left = extra
    for one, pairs in added.items():
        numbers, shares = [-1], [1.0]
        for number in range(pairs):
            both = left > 1
            numbers += [number, number] if both else [number]
            shares += [1.0, -1.0] if both else [0.0]
            left -= 2
        growth.copies[one] = len(numbers)
        growth.fresh[one] = np.array(numbers)
        growth.shares[one] = np.array(shares)
    return growth


def spread_out(
    graph: ChannelGraph, classes: Any, extra: int, rng: np.random.Generator
) -> tuple[np.ndarray, dict[int, int]]:
    """Shares new units out evenly, which classes get one more by chance.

    Args:
        graph: The graph.
        classes: The classes that may get new units.
        extra: Number of new units.
        rng: Decides.

    Returns:
        Copies of each class of the graph, and by class how many are new.
    """
    copies: np.ndarray = np.ones(graph.class_count, "int64")
    order = rng.permutation(np.asarray(classes))
    chosen = np.tile(order, -(-extra // len(order)))[:extra]
    np.add.at(copies, chosen, 1)
    return copies, {int(c): int(copies[c]) - 1 for c in np.unique(chosen)}


class Outgoing:
    """Random outgoing weights with a share of the norm of the old ones.

    Args:
        graph: The graph.
        seed: Seed of the weights.
        scale: Share of the mean norm of the old units' weights.
    """

    def __init__(self, graph: ChannelGraph, seed: int, scale: float) -> None:
        self._numbers = {
            (id(b.variable), b.axis): number
            for number, b in enumerate(graph.bindings)
        }
        self._seed = seed
        self._scale = scale

    def __call__(self, fresh: Fresh, old: np.ndarray) -> np.ndarray:
        binding = fresh.binding
        number = self._numbers[(id(binding.variable), binding.axis)]
        rng = np.random.default_rng([self._seed, 1, number])
        rows = np.moveaxis(old, binding.axis, 0)
        norm = self._scale * mean_norm(rows)

        def draw(count: int) -> np.ndarray:
            drawn = rng.normal(size=(count, *rows.shape[1:]))
            norms = np.sqrt(np.square(drawn.reshape(count, -1)).sum(axis=1))
            return drawn * (norm / norms).reshape(-1, *[1] * (rows.ndim - 1))

        return np.moveaxis(fresh.spread(draw), 0, binding.axis)


def mean_norm(rows: np.ndarray) -> float:
    """Returns the mean Euclidean norm of the slices along axis 0.

    Example:

    >>> mean_norm(np.array([[3.0, 4.0], [0.0, 1.0]]))
    3.0

    Args:
        rows: An array.

    Returns:
        The mean norm.
    """
    flat = rows.reshape(len(rows), -1)
    return float(np.sqrt(np.square(flat).sum(axis=1)).mean())
