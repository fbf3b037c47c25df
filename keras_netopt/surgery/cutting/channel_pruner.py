"""Chooses the units to remove for a sparsity."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_bool, check_choice, check_integer
from keras_netopt.graph.symbolic import assume_input_shape, input_specs
from keras_netopt.selectors import Selector, check_selector
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.layer_groups import producer_path
from keras_netopt.surgery.channels.unchanged_layers import list_unchanged
from keras_netopt.surgery.cutting import channel_scores, width_search
from keras_netopt.surgery.cutting.byte_goal import find_byte_widths
from keras_netopt.surgery.cutting.cost_model import CostModel
from keras_netopt.surgery.cutting.cut_candidates import (
    CutCandidates,
    CutConstraints,
    find_candidates,
)
from keras_netopt.surgery.cutting.rehearse_cuts import rehearse_cuts
from keras_netopt.surgery.cutting.width_search import UnitRanking, Widths
from keras_netopt.surgery.edits.rehearsal import temporary_copy
from keras_netopt.surgery.edits.remove import remove
from keras_netopt.training.batches import iterate_batches

Meter = Callable[[keras.Model], float]


@dataclass(frozen=True)
class OriginalSize:
    """Size of a model before the first of several cuts.

    Args:
        widths: Number of removable units, by block.
        params: Number of weights.
        macs: Multiply-accumulates per sample.
        bytes: Bytes of the file, once they are measured. Defaults to `0`.
    """

    widths: dict[str, int]
    params: int
    macs: float
    bytes: float = 0

    @property
    def units(self) -> int:
        """Number of all removable units."""
        return sum(self.widths.values())


@dataclass(frozen=True, eq=False)
class ChannelCut:
    """The units that one cut removes.

    Args:
        units: Indices of units by the path of the layer, for `remove`.
        kept: Share of the original units that remain after the cut.
        skipped: Layers that are not pruned, each with the reason.
        blocks: Number of groups of layers that may be pruned.
        share: For "latency" and "meter", the share of each layer that was
            found, for "bytes" that of the parameters. Defaults to `None`.
        asked: For each layer that may be pruned, the width that the
            allocation asks for before it is rounded. Defaults to none.
        notes: Notes for the report. Defaults to none.
        bytes: For "bytes", those of the file before the cut. Defaults to `0`.
    """

    units: dict[str, list[int]]
    kept: float
    skipped: tuple[tuple[str, str], ...]
    blocks: int
    share: float | None = None
    asked: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    bytes: float = 0


@dataclass(frozen=True)
class ChannelPruner:
    """Chooses the units to remove; create it with `ChannelPruner.create`.

    Args:
        score: The importance score.
        allocation: How a cut is distributed over layers.
        resource: What the sparsity is a share of.
        limits: Which layers may be pruned, and how far.
        seed: Seed of the random score.
        rehearsed: Names of the producers whose cut has been rehearsed.
        refused: Those whose layer does not follow a cut, with the reason.
    """

    score: Any
    allocation: str
    resource: str
    limits: CutConstraints
    seed: int
    rehearsed: set[str] = field(default_factory=set, compare=False)
    refused: dict[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def create(
        cls,
        *,
        score: Any = "magnitude",
        allocation: str = "uniform",
        resource: str = "channels",
        round_to: int | None = None,
        min_channels: int = 8,
        include: Selector | None = None,
        exclude: Selector | None = None,
        seed: int = 0,
        allow_inexact: bool = False,
    ) -> "ChannelPruner":
        """Checks the arguments of `prune_channels` and creates the pruner."""
        channel_scores.check_score(score)
        check_choice(allocation, "allocation", width_search.ALLOCATIONS)
        check_choice(resource, "resource", width_search.RESOURCES)
        if round_to is not None:
            check_integer(round_to, "round_to", minimum=1)
        check_integer(min_channels, "min_channels", minimum=1)
        check_integer(seed, "seed")
        check_selector(include, "include")
        check_selector(exclude, "exclude")
        check_bool(allow_inexact, "allow_inexact")
        limits = CutConstraints(
            round_to, min_channels, include, exclude, allow_inexact
        )
        return cls(score, allocation, resource, limits, seed)

    def measure_original(self, model: keras.Model) -> OriginalSize:
        """Measures a model before its first cut."""
        graph = ChannelGraph(model)
        return _base(graph, self.find_candidates(graph))

    def find_candidates(
        self, graph: ChannelGraph, floors: dict[str, int] | None = None
    ) -> CutCandidates:
        """Finds the blocks to prune, without layers whose code refuses."""
        found = find_candidates(graph, self.limits, floors, self.refused)
        refused = rehearse_cuts(graph, found, self.rehearsed)
        if not refused:
            return found
        self.refused.update(refused)
        return find_candidates(graph, self.limits, floors, self.refused)

    def choose_units(
        self,
        model: keras.Model,
        sparsity: float,
        *,
        base: OriginalSize | None = None,
        data: Any = None,
        meter: Meter | None = None,
        share: float | None = None,
    ) -> ChannelCut:
        """Chooses the units to remove now; the model is not changed.

        Args:
            model: A built Functional or Sequential model.
            sparsity: Share of the original that this cut and earlier ones
                remove, in [0, 1).
            base: Size before the first cut. Defaults to `None`: this is the
                first cut.
            data: Calibration data `(x, y)` for "taylor". Defaults to `None`.
            meter: `callable(model) -> float` for "latency", "bytes" and
                "meter".
                Defaults to `None`.
            share: Share found for them by an earlier cut, used instead of
                measuring. Defaults to `None`.
        """
        graph = ChannelGraph(model)
        found = self.find_candidates(
            graph, None if base is None else base.widths
        )
        copies: np.ndarray = np.ones(graph.group_count, "int64")
        whole = base.units if base else sum(found.widths.values())
        if not found.blocks or sparsity == 0:
            widths = tuple(found.widths.values())
            kept = sum(widths) / whole if whole else 1.0
            skipped = list_unchanged(graph, copies, dict(found.skipped))
            return ChannelCut({}, kept, skipped, len(found.blocks))
        worth = channel_scores.score_groups(
            graph, self.score, data=data, seed=self.seed
        )
        worth = channel_scores.normalize_scores(graph, worth)
        ranking = width_search.rank_units(found.blocks, worth, self.allocation)

        def removed(widths: Widths) -> dict[str, np.ndarray]:
            return width_search.least_important(ranking, widths, worth)

        def units(widths: Widths) -> dict[str, list[int]]:
            return list_units(graph, found, removed(widths))

        notes: tuple[str, ...] = ()
        file_bytes = 0.0
        widths_for = functools.partial(self._widths, graph, ranking, worth)
        measure = functools.partial(self._measure, model, units, meter)
        if self.resource in ("latency", "meter") and share is None:
            share, tried = width_search.find_share(
                ranking, measure, lambda cost: (1 - sparsity) * cost
            )
            rows = ", ".join(f"{s:.1%} cut: {value:.3g}" for s, value in tried)
            notes = (f"{self.resource} measured {len(tried)} times: {rows}",)
        if share is None and self.resource == "bytes":
            found_goal = find_byte_widths(
                ranking,
                self._counter(graph, ranking, worth, "params"),
                measure,
                lambda size: (1 - sparsity) * (base and base.bytes or size),
            )
            asked, widths = found_goal.asked, found_goal.widths
            share, file_bytes = found_goal.share, found_goal.before
            notes = (found_goal.note,)
        elif share is not None and self.resource == "bytes":
            asked, widths = widths_for(share, base, "params")
        elif share is not None:
            asked, widths = ranking.asked_at(share), ranking.at(share)
        else:
            asked, widths = widths_for(sparsity, base, self.resource)
        for groups in removed(widths).values():
            copies[groups] = 0
        asked_widths = _asked_widths(graph, found, asked)
        reasons = {**_kept_reasons(graph, asked_widths), **dict(found.skipped)}
        return ChannelCut(
            units(widths),
            sum(widths) / whole,
            list_unchanged(graph, copies, reasons),
            len(found.blocks),
            share,
            asked_widths,
            notes,
            file_bytes,
        )

    def choose_part(
        self,
        model: keras.Model,
        sparsity: float,
        final: float,
        *,
        share: float | None = None,
        **options: Any,
    ) -> ChannelCut:
        """Chooses the units of one of several cuts; see `choose_units`.

        Latency and files are measured once, for the sparsity `final` of the
        last cut: its `share`, given or found, is in the result, and each cut
        gets a part of it. Files are measured again at the last cut, because
        the ranking may have changed since.
        """
        if self.resource not in width_search.MEASURED or final == 0:
            return self.choose_units(model, sparsity, **options)
        is_last_file = self.resource == "bytes" and sparsity == final
        notes: tuple[str, ...] = ()
        size = 0.0
        if share is None or is_last_file:
            last = self.choose_units(model, final, **options)
            if is_last_file:
                return last
            share, notes, size = last.share or 0.0, last.notes, last.bytes
        part = share * sparsity / final
        cut = self.choose_units(model, sparsity, share=part, **options)
        return dataclasses.replace(cut, share=share, notes=notes, bytes=size)

    def check_score(self, model: keras.Model, data: Any = None) -> None:
        """Computes the score on one batch of data, to find errors early."""
        if self.score == "taylor":
            data = [next(iterate_batches(data))]
        if self.score == "taylor" or not isinstance(self.score, str):
            channel_scores.score_groups(
                ChannelGraph(model), self.score, data=data
            )

    def _widths(
        self,
        graph: ChannelGraph,
        ranking: UnitRanking,
        worth: np.ndarray,
        sparsity: float,
        base: OriginalSize | None,
        resource: str,
    ) -> tuple[Widths, Widths]:
        """Returns the widths that are asked for, and the same rounded."""
        if resource == "channels" and self.allocation == "global":
            whole = base.units if base else sum(ranking.now)
            goal = (1 - sparsity) * whole
            asked, _ = width_search.find_widths(ranking, sum, goal)
            return asked, ranking.rounded(asked, goal)
        if resource == "channels":
            return ranking.asked_at(sparsity), ranking.at(sparsity)
        cost = self._counter(graph, ranking, worth, resource)
        total = float(getattr(base, resource)) if base else cost(ranking.now)
        return width_search.find_widths(ranking, cost, (1 - sparsity) * total)

    def _counter(
        self,
        graph: ChannelGraph,
        ranking: UnitRanking,
        worth: np.ndarray,
        resource: str,
    ) -> Callable[[Widths], float]:
        """Returns a function that counts MACs or parameters at some widths."""
        count = getattr(CostModel(graph), resource)

        def cost(widths: Widths) -> float:
            kept: np.ndarray = np.ones(graph.group_count, bool)
            for groups in width_search.least_important(
                ranking, widths, worth
            ).values():
                kept[groups] = False
            return float(count(kept))

        return cost

    def _measure(
        self,
        model: keras.Model,
        units: Callable[[Widths], dict[str, list[int]]],
        meter: Meter | None,
        widths: Widths,
    ) -> float:
        """Measures a pruned copy of the model."""
        if meter is None:
            raise ValueError(
                "Argument `meter` must be a callable(model) -> float for "
                f"resource={self.resource!r}. Received: meter=None"
            )
        removed = units(widths)
        shapes = [x.shape for x in keras.tree.flatten(input_specs(model))]
        with temporary_copy(model) as copy, assume_input_shape(copy, shapes):
            if removed:
                remove(copy, removed, allow_inexact=self.limits.allow_inexact)
            return float(meter(copy))


def _base(graph: ChannelGraph, found: CutCandidates) -> OriginalSize:
    cost_model = CostModel(graph)
    all_kept: np.ndarray = np.ones(graph.group_count, bool)
    return OriginalSize(
        found.widths, cost_model.params(all_kept), cost_model.macs(all_kept)
    )


def list_units(
    graph: ChannelGraph, found: CutCandidates, removed: dict[str, np.ndarray]
) -> dict[str, list[int]]:
    """Returns the indices of units in the layer that names each block."""
    units: dict[str, list[int]] = {}
    for name, groups in removed.items():
        layer = found.producers[name]
        places = np.flatnonzero(np.isin(graph.units(layer), groups))
        kind = f":{layer[1]}" if isinstance(layer, tuple) else ""
        units.setdefault(graph.path(layer) + kind, []).extend(places.tolist())
    return units


def _kept_reasons(
    graph: ChannelGraph, asked: Mapping[str, float]
) -> dict[str, str]:
    """Returns why layers that may be pruned keep all of their units."""
    reasons = {}
    for key in graph.producers:
        name = producer_path(graph, key)
        if name in asked:
            width = len(graph.units(key))
            reasons[name] = (
                f"keeps {width} channels, {asked[name]:.4g} were asked: "
                "`round_to` and `min_channels` allow no nearer number"
                if asked[name] < width
                else "the allocation removes none of its channels"
            )
    return reasons


def _asked_widths(
    graph: ChannelGraph, found: CutCandidates, asked: Widths
) -> dict[str, float]:
    """Returns the width asked for of each layer with removable units."""
    kept: np.ndarray = np.full(graph.group_count, np.nan)
    for block, width in zip(found.blocks, asked, strict=True):
        kept[block.groups] = width / len(block)
    return {
        producer_path(graph, key): float(np.where(np.isnan(own), 1, own).sum())
        for key in graph.producers
        if not np.isnan(own := kept[graph.units(key)]).all()
    }
