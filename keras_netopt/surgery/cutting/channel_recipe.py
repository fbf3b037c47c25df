"""From a ratio to the units that go: the choices of channel pruning."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.selectors import Selector, check_selector
from keras_netopt.surgery.cutting import choose, scores
from keras_netopt.surgery.cutting.candidates import (
    Candidates,
    CutConstraints,
    candidates,
)
from keras_netopt.surgery.cutting.choose import Ranking, Widths
from keras_netopt.surgery.cutting.costing import Costing
from keras_netopt.surgery.edits.remove import remove
from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.training.batches import iterate_batches

Meter = Callable[[keras.Model], float]


@dataclass(frozen=True)
class Base:
    """What a model was before the first of several cuts.

    Args:
        widths: Units that may be cut, by block.
        params: Number of weights.
        macs: Multiply-accumulates a sample.
    """

    widths: dict[str, int]
    params: int
    macs: float

    @property
    def units(self) -> int:
        """All units that may be cut."""
        return sum(self.widths.values())


@dataclass(frozen=True, eq=False)
class Cut:
    """The units that one cut takes away.

    Args:
        units: Numbers of units by the path of the layer, for `remove`.
        kept: Share of the base's units that is left after it.
        skipped: Layers that are left alone, each with the reason.
        blocks: How many groups of layers could be cut.
        share: For measured latency the share of each layer that was found.
            Defaults to `None`.
        notes: What else is worth knowing. Defaults to none.
    """

    units: dict[str, list[int]]
    kept: float
    skipped: tuple[tuple[str, str], ...]
    blocks: int
    share: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChannelRecipe:
    """What to cut, given how much; create one with `ChannelRecipe.create`.

    Example:

    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(16, name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> cut = ChannelRecipe.create(min_channels=1).choose(model, 0.75)
    >>> len(cut.units["hidden"]), cut.kept
    (12, 0.25)
    >>> cut.skipped
    (('out', "reaches the output 'out' of the model"),)

    Args:
        score: What a unit is worth.
        allocation: How the cut is shared out.
        target: What the ratio is a share of.
        limits: What may be cut, and how far.
        seed: Seed of the random score.
    """

    score: Any
    allocation: str
    target: str
    limits: CutConstraints
    seed: int

    @classmethod
    def create(
        cls,
        *,
        score: Any = "magnitude",
        allocation: str = "uniform",
        target: str = "channels",
        round_to: int | None = None,
        min_channels: int = 8,
        include: Selector | None = None,
        exclude: Selector | None = None,
        seed: int = 0,
        allow_inexact: bool = False,
    ) -> "ChannelRecipe":
        """Checks the choices and makes a recipe of them.

        Args:
            score: See `prune_channels`, like all the others.
            allocation: How the cut is shared out.
            target: What the ratio is a share of.
            round_to: Multiple of the widths.
            min_channels: Channels that every layer keeps.
            include: Layers to cut.
            exclude: Layers to leave alone.
            seed: Seed of the random score.
            allow_inexact: Whether normalized units may go.

        Returns:
            The recipe.

        Raises:
            TypeError: If an argument is of the wrong type.
            ValueError: If it is out of range or not known.
        """
        scores.check_score(score)
        check_choice(allocation, "allocation", choose.ALLOCATIONS)
        check_choice(target, "target", choose.TARGETS)
        if round_to is not None:
            check_integer(round_to, "round_to", minimum=1)
        check_integer(min_channels, "min_channels", minimum=1)
        check_integer(seed, "seed")
        check_selector(include, "include")
        check_selector(exclude, "exclude")
        if not isinstance(allow_inexact, bool):
            raise TypeError(
                "Argument `allow_inexact` must be True or False. "
                f"Received: allow_inexact={allow_inexact!r}"
            )
        limits = CutConstraints(
            round_to, min_channels, include, exclude, allow_inexact
        )
        return cls(score, allocation, target, limits, seed)

    def base(self, model: keras.Model) -> Base:
        """Takes down what a model is before its first cut.

        Args:
            model: A built Functional or Sequential model.

        Returns:
            Its widths and its cost.

        Raises:
            ValueError: If the model has no graph or patterns do not fit it.
        """
        graph = ChannelGraph(model)
        return _base(graph, candidates(graph, self.limits))

    def choose(
        self,
        model: keras.Model,
        ratio: float,
        *,
        base: Base | None = None,
        data: Any = None,
        meter: Meter | None = None,
        share: float | None = None,
    ) -> Cut:
        """Chooses the units to cut now; the model is not changed.

        Args:
            model: A built Functional or Sequential model.
            ratio: Share of the base to be gone after this cut, in [0, 1).
            base: The model before its first cut. Defaults to `None`: this is
                the first.
            data: `(x, y)` for "taylor". Defaults to `None`.
            meter: Measures the latency of a model, for the "latency" target.
                Defaults to `None`.
            share: What an earlier cut found for latency, to be used instead
                of measuring. Defaults to `None`.

        Returns:
            The units.

        Raises:
            ValueError: If the model has no graph, patterns do not fit it, or
                the score does not work.
        """
        graph = ChannelGraph(model)
        floors = None if base is None else base.widths
        found = candidates(graph, self.limits, floors)
        first = base or _base(graph, found)
        if not found.blocks or ratio == 0:
            kept, count = _kept(found, first), len(found.blocks)
            return Cut({}, kept, found.skipped, count)
        worth = scores.class_scores(
            graph, self.score, data=data, seed=self.seed
        )
        worth = scores.relative(graph, worth)
        ranking = choose.rank(found.blocks, worth, self.allocation)

        def units(widths: Widths) -> dict[str, list[int]]:
            gone = choose.weakest(ranking, widths, worth)
            return _units(graph, found, gone)

        notes: tuple[str, ...] = ()
        if self.target == "latency" and share is None:
            measure = functools.partial(self._measure, model, units, meter)
            share, notes = _measured(ranking, measure, ratio)
        if share is not None:
            widths = ranking.at(share)
        else:
            widths = self._widths(graph, ranking, worth, ratio, first)
        kept, count = sum(widths) / first.units, len(found.blocks)
        return Cut(units(widths), kept, found.skipped, count, share, notes)

    def try_score(self, model: keras.Model, data: Any = None) -> None:
        """Finds out whether the score works, on one batch of data.

        Args:
            model: A built Functional or Sequential model.
            data: As in `choose`. Defaults to `None`.

        Raises:
            TypeError: If the data are of a kind that cannot be read.
            ValueError: If the score does not work on the model.
        """
        if self.score == "taylor":
            data = [next(iterate_batches(data))]
        if self.score == "taylor" or not isinstance(self.score, str):
            scores.class_scores(ChannelGraph(model), self.score, data=data)

    def _widths(
        self,
        graph: ChannelGraph,
        ranking: Ranking,
        worth: np.ndarray,
        ratio: float,
        base: Base,
    ) -> Widths:
        if self.target == "channels" and self.allocation == "global":
            return choose.by_cost(ranking, sum, (1 - ratio) * base.units)
        if self.target == "channels":
            return ranking.at(ratio)
        costing = Costing(graph)
        count = costing.macs if self.target == "macs" else costing.params
        whole = base.macs if self.target == "macs" else base.params

        def cost(widths: Widths) -> float:
            kept: np.ndarray = np.ones(graph.group_count, bool)
            for gone in choose.weakest(ranking, widths, worth).values():
                kept[gone] = False
            return count(kept)

        return choose.by_cost(ranking, cost, (1 - ratio) * whole)

    def _measure(
        self,
        model: keras.Model,
        units: Callable[[Widths], dict[str, list[int]]],
        meter: Meter | None,
        widths: Widths,
    ) -> float:
        """Cuts a copy of the model and measures it."""
        if meter is None:
            raise ValueError(
                "Argument `meter` must be a callable(model) -> float for "
                "target 'latency'. Received: meter=None"
            )
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        gone = units(widths)
        if gone:
            remove(copy, gone, allow_inexact=self.limits.allow_inexact)
        return float(meter(copy))


def _base(graph: ChannelGraph, found: Candidates) -> Base:
    costing = Costing(graph)
    all_kept: np.ndarray = np.ones(graph.group_count, bool)
    return Base(found.widths, costing.params(all_kept), costing.macs(all_kept))


def _kept(found: Candidates, base: Base) -> float:
    return sum(found.widths.values()) / base.units if base.units else 1.0


def _measured(
    ranking: Ranking, measure: Callable[[Widths], float], ratio: float
) -> tuple[float, tuple[str, ...]]:
    share, measured = choose.by_measure(
        ranking, measure, lambda whole: (1 - ratio) * whole
    )
    tried = ", ".join(f"{s:.1%} cut: {value:.3g}" for s, value in measured)
    return share, (f"latency measured {len(measured)} times: {tried}",)


def _units(
    graph: ChannelGraph, found: Candidates, gone: dict[str, np.ndarray]
) -> dict[str, list[int]]:
    """Numbers of units in the layer that names each block."""
    units: dict[str, list[int]] = {}
    for name, groups in gone.items():
        layer = found.producers[name]
        numbers_ = np.flatnonzero(np.isin(graph.units(layer), groups))
        units.setdefault(graph.path(layer), []).extend(numbers_.tolist())
    return units
