"""Finds the weights whose penalty makes whole channels zero."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_choice
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import IN, CoupledAxis
from keras_netopt.surgery.cutting.cut_candidates import (
    CutConstraints,
    find_candidates,
)
from keras_netopt.training.group_shrinker import GroupPart, ShrunkGroups

REGULARIZERS = ("bn_scale", "group_lasso")


@dataclass(frozen=True, eq=False)
class ShrinkTargets:
    """What a penalty on channels shrinks.

    Args:
        groups: The weights that become zero together.
        makers: The layers that make these channels, with "group_lasso" also
            those that are frozen.
        frozen: The paths of frozen layers because of which channels that may
            be removed are not shrunk.
    """

    groups: list[ShrunkGroups]
    makers: list[Any]
    frozen: list[str]


def find_shrink_targets(
    graph: ChannelGraph, limits: CutConstraints, regularizer: str
) -> ShrinkTargets:
    """Finds the penalized weights of all channels that may be removed.

    "bn_scale" penalizes each scale of a batch normalization by itself; the
    shift is zero where the scale is, so that the channel is off; a frozen one
    keeps its value, and the channel is constant. "group_lasso"
    penalizes the norm of all weights that make a group of coupled channels:
    kernels, biases, scales and shifts, over the root of their number; if one
    of them is frozen, the channels are left alone.
    """
    check_choice(regularizer, "regularizer", REGULARIZERS)
    found = find_candidates(graph, limits)
    blocks = [block.groups for block in found.blocks]
    removable: np.ndarray = np.unique(
        np.concatenate([np.zeros(0, "int64"), *blocks])
    )
    frozen: list[Any] = []
    if regularizer == "bn_scale":
        targets = _scales(graph, removable, frozen)
        seen = {
            int(group)
            for axis in graph.coupled_axes
            if any(axis.variable is t.parts[0].variable for t in targets)
            for group in graph.group_of[axis.ids]
        }
    else:
        shrunk = [_lasso(graph, groups, frozen) for groups in blocks]
        targets = [one for one in shrunk if one is not None]
        # A share of the channels may be cut while layers are frozen.
        seen = {int(group) for group in removable}
    makers = [
        key[0] if isinstance(key, tuple) else key
        for key in graph.producers
        if seen & set(graph.units(key).tolist())
    ]
    paths = [graph.path(layer) for layer in frozen]
    return ShrinkTargets(
        targets, list(dict.fromkeys(makers)), list(dict.fromkeys(paths))
    )


def _scales(
    graph: ChannelGraph, removable: np.ndarray, frozen: list[Any]
) -> list[ShrunkGroups]:
    targets = []
    for axis in graph.coupled_axes:
        layer = axis.layer
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if not is_norm or axis.variable is not layer.gamma:
            continue
        is_own = np.isin(graph.group_of[axis.ids], removable)
        if not is_own.any():
            continue
        if not layer.gamma.trainable:
            frozen.append(layer)
            continue
        count = int(is_own.sum())
        index: np.ndarray = np.full(len(is_own), count, "int32")
        index[is_own] = np.arange(count)
        parts = [GroupPart(layer.gamma, 0, index)]
        beta = layer.beta
        followers = [] if beta is None else [GroupPart(beta, 0, index)]
        targets.append(
            ShrunkGroups(tuple(parts), np.ones(count), tuple(followers))
        )
    return targets


def _lasso(
    graph: ChannelGraph, groups: np.ndarray, frozen: list[Any]
) -> ShrunkGroups | None:
    """Returns all weights that make some groups, if all can be trained."""
    count = len(groups)
    place: np.ndarray = np.full(graph.group_count, count, "int32")
    place[groups] = np.arange(count)
    parts, sizes = [], np.zeros(count + 1)
    for axis in _making(graph.coupled_axes):
        index = place[graph.group_of[axis.ids]]
        if (index == count).all():
            continue
        if not axis.variable.trainable:
            frozen.append(axis.layer)
            return None
        parts.append(GroupPart(axis.variable, axis.axis, index))
        slice_size = np.prod(axis.variable.shape) / len(index)
        np.add.at(sizes, index, slice_size)
    return ShrunkGroups(tuple(parts), np.sqrt(sizes[:-1])) if parts else None


def _making(axes: Iterable[CoupledAxis]) -> Iterable[CoupledAxis]:
    """Yields the axes of weights that make channels, statistics excepted."""
    for axis in axes:
        norm = axis.layer
        is_norm = isinstance(norm, keras.layers.BatchNormalization)
        statistics = (norm.moving_mean, norm.moving_variance) if is_norm else ()
        if any(axis.variable is one for one in statistics):
            continue
        if axis.role != IN:
            yield axis
