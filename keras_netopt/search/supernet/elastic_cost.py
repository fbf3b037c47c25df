"""Parameters and MACs of every architecture of elastic layers."""

from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import walk_layers
from keras_netopt.search.supernet.elastic_units import ElasticUnits
from keras_netopt.search.supernet.extract import PlainNetwork, plain_network
from keras_netopt.search.supernet.masked_units import kept_groups
from keras_netopt.search.supernet.searchable_layer import (
    Architecture,
    SearchableLayer,
    find_decisions,
)
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.cutting.cost_model import CostModel


class ElasticCost:
    """Computes the cost of extracted architectures without extraction.

    The channels of the largest network are traced once; each architecture is
    then a sum over its layers. Exact for models whose decisions are all those
    of elastic layers.

    Args:
        model: A built model with elastic layers.
    """

    def __init__(self, model: keras.Model) -> None:
        largest = {
            name: len(decision.options) - 1
            for name, decision in find_decisions(model).items()
        }
        network = plain_network(model, largest)
        self._graph = ChannelGraph(network.model)
        self._costs = CostModel(self._graph)
        self._units: list[tuple[Any, Any]] = []
        self._stacks: list[tuple[Any, list[list[Any]]]] = []
        for name, layer in network.layers.items():
            if isinstance(layer, ElasticUnits):
                self._units.append((layer, network.parts[name][0]))
            if hasattr(layer, "chosen_blocks"):
                copies = [_copies(network, block) for block in layer.blocks]
                self._stacks.append((layer, copies))

    def macs(self, architecture: Architecture) -> float:
        """Returns the MACs of one sample."""
        kept, layers, _ = self._left(architecture)
        return self._costs.macs(kept, layers)

    def params(self, architecture: Architecture) -> int:
        """Returns the number of weights."""
        kept, _, variables = self._left(architecture)
        return self._costs.params(kept, variables)

    def _left(
        self, architecture: Architecture
    ) -> tuple[np.ndarray, dict[int, float], dict[int, float]]:
        """Returns the groups, and the shares of layers and variables, left."""
        absent = [
            one
            for stack, blocks in self._stacks
            for copies in blocks[len(stack.chosen_blocks(architecture)) :]
            for one in copies
        ]
        layers: dict[int, float] = {id(one): 0.0 for one in absent}
        variables = {id(v): 0.0 for one in absent for v in one.weights}
        widths = {}
        for layer, plain in self._units:
            widths[id(plain)] = layer.chosen_width(architecture)
            size = layer.chosen_option("kernel", architecture)
            if size is None:
                continue
            share = (size / layer.kernel_size) ** 2
            layers.setdefault(id(plain), share)
            variables.setdefault(id(plain.kernel), share)
        kept = kept_groups(self._graph, widths, {id(one) for one in absent})
        return kept, layers, variables


def _copies(network: PlainNetwork, block: Any) -> list[Any]:
    """Returns the plain layers that a block has become."""
    parts = network.parts.get(block.name)
    if isinstance(block, SearchableLayer) and parts is not None:
        return [one for part in parts for one in walk_layers(part)]
    return list(walk_layers(network.copies[id(block)]))
