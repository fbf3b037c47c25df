"""Removes channels so that each layer has a given width."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.cutting import channel_scores, width_search
from keras_netopt.surgery.cutting.channel_pruner import (
    ChannelCut,
    ChannelPruner,
    list_units,
)
from keras_netopt.surgery.cutting.cost_model import CostModel
from keras_netopt.surgery.cutting.cut_candidates import CutCandidates
from keras_netopt.surgery.cutting.prune_channels import apply_cut
from keras_netopt.surgery.cutting.width_search import ChannelBlock
from keras_netopt.surgery.edits.edit_report import EditReport
from keras_netopt.training.editing import editing


@dataclass(frozen=True)
class LayerWidth:
    """The units that the same layers produce, which one width counts.

    Args:
        name: The path of the layer that names them.
        width: Their number.
        floor: The smallest number that a cut may leave.
    """

    name: str
    width: int
    floor: int


class WidthCutter:
    """Cuts models of one structure to given widths.

    Every layer whose units may be removed has a width, the first convolution
    too.

    Args:
        min_channels: Channels that every layer keeps.
        seed: Seed of the score "random".
    """

    def __init__(self, min_channels: int, seed: int = 0) -> None:
        self._options: dict[str, Any] = {
            "min_channels": min_channels,
            "seed": seed,
        }
        self._pruner = self._make_pruner("magnitude")
        self._names: list[str] = []

    def list_widths(self, model: keras.Model) -> list[LayerWidth]:
        """Returns the widths of a model that may be reduced.

        Copies of the model are cut by these names, too, even if Keras has
        named their layers anew.

        Raises:
            ValueError: If the model has no graph of calls.
        """
        graph = ChannelGraph(model)
        try:
            found = self._pruner.find_candidates(graph)
        except ValueError:
            # Every layer is refused; the reasons are in a report of
            # `prune_channels`.
            return []
        self._names = [block.name for block in found.blocks]
        return [
            LayerWidth(block.name, len(block), block.floor)
            for block in found.blocks
        ]

    def count(
        self, model: keras.Model, widths: Mapping[str, int]
    ) -> dict[str, float]:
        """Counts parameters and MACs at some widths, without a cut."""
        graph = ChannelGraph(model)
        found = self._pruner.find_candidates(graph)
        kept: np.ndarray = np.ones(graph.group_count, bool)
        for block, name in self._named(found):
            removed = len(block) - widths.get(name, len(block))
            kept[block.groups[:removed]] = False
        costs = CostModel(graph)
        return {"params": costs.params(kept), "macs": costs.macs(kept)}

    def cut(
        self,
        model: keras.Model,
        widths: Mapping[str, int],
        *,
        score: Any = "magnitude",
        data: Any = None,
        recalibrate: Any = None,
    ) -> EditReport:
        """Removes the least important units of each layer, in place.

        Args:
            model: A built model.
            widths: Widths by the names of `list_widths`; layers that are left
                out keep theirs.
            score: As in `prune_channels`. Defaults to `"magnitude"`.
            data: `(x, y)` for "taylor". Defaults to `None`.
            recalibrate: Inputs on which the averages of batch normalization
                are recomputed. Defaults to `None`: they are not.
        """
        with editing(model):
            graph = ChannelGraph(model)
            found = self._make_pruner(score).find_candidates(graph)
            worth = channel_scores.score_groups(
                graph, score, data=data, seed=self._options["seed"]
            )
            ranking = width_search.rank_units(found.blocks, worth, "uniform")
            removed = width_search.least_important(
                ranking,
                tuple(
                    min(len(block), max(block.floor, widths[name]))
                    if name in widths
                    else len(block)
                    for block, name in self._named(found)
                ),
                worth,
            )
            cut = ChannelCut(
                list_units(graph, found, removed),
                kept=1.0,
                skipped=found.skipped,
                blocks=len(found.blocks),
            )
            return apply_cut(model, cut, data=recalibrate)

    def _named(self, found: CutCandidates) -> list[tuple[ChannelBlock, str]]:
        """Returns the blocks with the names that `list_widths` gave them."""
        names = [block.name for block in found.blocks]
        if len(self._names) == len(names):
            names = self._names
        return list(zip(found.blocks, names, strict=True))

    def _make_pruner(self, score: Any) -> ChannelPruner:
        return ChannelPruner.create(
            score=score,
            include=_is_any,
            **self._options,
        )


def _is_any(layer: Any) -> bool:
    return True
