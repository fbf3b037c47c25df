"""Sorts the units of elastic layers by importance."""

import functools
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import own_variables, walk_layers
from keras_netopt.search.supernet.elastic_units import ElasticUnits
from keras_netopt.search.supernet.extract import (
    PlainNetwork,
    plain_network,
)
from keras_netopt.search.supernet.searchable_layer import (
    SearchableLayer,
    find_decisions,
)
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import IN
from keras_netopt.training.backend import commit_variables, sync_variables
from keras_netopt.training.optimizers import map_slots


def sort_channels(model: keras.Model) -> list[str]:
    """Moves the most important units of elastic layers to the front.

    Narrower widths then keep the units with the largest L1 norm of outgoing
    weights. The outputs of the largest width do not change; optimizer
    variables move with their weights. Units that are outputs of the model, or
    that a layer of several candidates uses, stay.

    Args:
        model: A built model with elastic layers.

    Returns:
        The names of the layers whose units were sorted.

    Raises:
        ValueError: If the model has other searchable layers as well: all
            their options would have to use the units in the new order.

    Reference:
        Cai et al., "Once-for-all", 2019, https://arxiv.org/abs/1908.09791.
    """
    sync_variables(model)
    if not has_sortable_units(model):
        raise ValueError(
            "Units can be sorted in models whose searchable layers are all "
            "elastic. "
            f"Received: model=<{type(model).__name__} name={model.name}>"
        )
    largest = {
        name: len(decision.options) - 1
        for name, decision in find_decisions(model).items()
    }
    network = plain_network(model, largest)
    graph = ChannelGraph(network.model)
    new_place, names = _sorted_groups(network, graph)
    indices = _axis_indices(graph, new_place)
    moved = {
        id(own): (own, indices[id(plain)])
        for own, plain in _variable_pairs(model, network)
        if id(plain) in indices
    }
    for variable, axes in moved.values():
        variable.assign(_permute(_read(variable), axes))
    map_slots(model, functools.partial(_move_slot, moved))
    commit_variables(model)
    return names


def has_sortable_units(model: keras.Model) -> bool:
    """Whether all searchable layers of a model are elastic."""
    return all(
        hasattr(layer, "axis_decisions")
        for layer in walk_layers(model)
        if isinstance(layer, SearchableLayer)
    )


def _sorted_groups(
    network: PlainNetwork, graph: ChannelGraph
) -> tuple[np.ndarray, list[str]]:
    """Returns which channel group moves to the place of each, and layers."""
    source: np.ndarray = np.arange(graph.group_count)
    norms = _outgoing_norms(graph)
    done: set[int] = set()
    names = []
    for name, layer in network.layers.items():
        if not isinstance(layer, ElasticUnits):
            continue
        core = network.parts[name][0]
        if "width" not in layer.elastic_axes() or core not in graph.producers:
            continue
        coupled = graph.layer_group(core)
        groups = graph.units(core)
        is_same = all(
            np.array_equal(graph.units(one), groups) for one in coupled.layers
        )
        if not is_same or len(coupled.free) < len(groups):
            continue
        names.append(name)
        if not done.intersection(groups.tolist()):
            order = np.argsort(-norms[groups], kind="stable")
            source[groups] = groups[order]
            done.update(groups.tolist())
    return source, names


def _outgoing_norms(graph: ChannelGraph) -> np.ndarray:
    """Returns the L1 norm of the outgoing weights of each group."""
    norms: np.ndarray = np.zeros(graph.group_count)
    for axis in graph.coupled_axes:
        if axis.role == IN:
            array = np.abs(_read(axis.variable))
            rest = tuple(k for k in range(array.ndim) if k != axis.axis)
            np.add.at(norms, graph.group_of[axis.ids], array.sum(axis=rest))
    return norms


def _axis_indices(
    graph: ChannelGraph, source: np.ndarray
) -> dict[int, list[tuple[int, np.ndarray]]]:
    """Returns how the axes of each variable are permuted."""
    found: dict[int, list[tuple[int, np.ndarray]]] = {}
    for axis in graph.coupled_axes:
        groups = graph.group_of[axis.ids]
        wanted = source[groups]
        if (wanted == groups).all():
            continue
        # A group can have several positions, as after `Flatten`.
        places: dict[int, list[int]] = {}
        for place, group in enumerate(groups.tolist()):
            places.setdefault(group, []).append(place)
        rest = {group: iter(held) for group, held in places.items()}
        index = np.array([next(rest[g]) for g in wanted.tolist()])
        found.setdefault(id(axis.variable), []).append((axis.axis, index))
    return found


def _variable_pairs(
    model: keras.Model, network: PlainNetwork
) -> list[tuple[Any, Any]]:
    """Returns the variables of a model, each with its plain counterpart."""
    pairs: list[tuple[Any, Any]] = []
    for layer in walk_layers(model):
        if isinstance(layer, ElasticUnits):
            own = layer.plain_variables()
            parts = network.parts[layer.name]
            other = [v for one in parts for v in one.weights]
        elif id(layer) in network.copies:
            own = own_variables(layer)
            other = own_variables(network.copies[id(layer)])
        else:
            continue
        pairs.extend(zip(own, other, strict=True))
    return pairs


def _move_slot(
    moved: dict[int, tuple[Any, Any]], variable: Any, array: np.ndarray
) -> np.ndarray:
    found = moved.get(id(variable))
    return array if found is None else _permute(array, found[1])


def _permute(
    array: np.ndarray, axes: list[tuple[int, np.ndarray]]
) -> np.ndarray:
    for axis, index in axes:
        array = np.take(array, index, axis=axis)
    return array


def _read(variable: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable))
