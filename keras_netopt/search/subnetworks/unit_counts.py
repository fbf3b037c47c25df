"""The number of units that each layer of a sub-network keeps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_netopt.checks import check_fraction
from keras_netopt.selectors import select
from keras_netopt.sparsity.allocation import erdos_renyi, erk_density
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import OUT


def check_unit_allocation(allocation: Any) -> None:
    """Refuses what is no allocation of units."""
    if allocation in ("uniform", "erk") or isinstance(allocation, Mapping):
        return
    raise ValueError(
        "Argument `allocation` must be 'uniform', 'erk' or a dictionary from "
        "selectors to sparsities with granularity='node'. "
        f"Received: allocation={allocation!r}"
    )


def count_kept(
    graph: ChannelGraph, blocks: Sequence[Any], sparsity: float, allocation: Any
) -> list[int]:
    """Returns how many units each block keeps, at least 1.

    Args:
        graph: The graph of the model.
        blocks: The blocks, with `name`, `groups` and `producer`.
        sparsity: Share of the units that are removed.
        allocation: "uniform"; "erk", which keeps more of small layers: in
            each the kept share is proportional to the sum of the dimensions
            of its kernel over their product; or sparsities by selector, the
            rest uniform.
    """
    sizes = np.array([len(block.groups) for block in blocks])
    if isinstance(allocation, Mapping):
        shares = _by_hand(graph, blocks, sparsity, allocation)
    elif allocation == "erk":
        densities = np.array([_density(graph, one) for one in blocks])
        shares = erdos_renyi(sizes, densities, sparsity)
    else:
        shares = np.full(len(sizes), sparsity)
    return [
        max(1, round(size * (1 - share)))
        for size, share in zip(sizes.tolist(), shares.tolist(), strict=True)
    ]


def _by_hand(
    graph: ChannelGraph,
    blocks: Sequence[Any],
    sparsity: float,
    allocation: Mapping[Any, Any],
) -> np.ndarray:
    shares = np.full(len(blocks), np.nan)
    places = [
        (one.name, one.producer[0])
        if isinstance(one.producer, tuple)
        else (one.name, one.producer)
        for one in blocks
    ]
    for selector, value in allocation.items():
        share = 0.0 if value is None else check_fraction(value, "allocation")
        for hit in select(selector, places, graph.model, "allocation"):
            if np.isnan(shares[hit]):
                shares[hit] = share
    return np.where(np.isnan(shares), sparsity, shares)


def _density(graph: ChannelGraph, block: Any) -> float:
    """Returns the share that "erk" keeps of a block, but for a factor."""
    kernels = [
        axis
        for axis in graph.coupled_axes
        if axis.role == OUT
        and len(axis.variable.shape) > 1
        and np.isin(graph.group_of[axis.ids], block.groups).any()
    ]
    if not kernels:
        return 1.0
    largest = max(kernels, key=lambda one: int(np.prod(one.variable.shape)))
    view = KernelView.of(largest.variable, largest.layer)
    return erk_density(view, kernel=True)
