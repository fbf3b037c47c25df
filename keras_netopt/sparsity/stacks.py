"""Prunes the matrices of a stack of kernels, each as a layer of its own."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.masks import UnitScores, prune_layer, prune_runs
from keras_netopt.sparsity.patterns import NM, Pattern


def score_stack(
    pattern: Pattern,
    view: KernelView,
    scores: np.ndarray,
    previous: np.ndarray | None,
) -> list[UnitScores]:
    """Pools the scores of each matrix into units."""
    return [
        UnitScores.from_scores(pattern, part, mask)
        for part, mask in _split(view, scores, previous)
    ]


def prune_stack(
    parts: list[UnitScores], sparsity: float, *, within: bool = False
) -> list[np.ndarray]:
    """Marks the lowest units of each matrix of a stack: `True` = pruned.

    The parts of the total differ by one weight at most.
    """
    if len(parts) == 1:
        return [prune_layer(parts[0], sparsity, within=within)]
    total = round(sum(units.weights for units in parts) * sparsity)
    bounds = [round(total * k / len(parts)) for k in range(len(parts) + 1)]
    return [
        prune_layer(units, (end - begin) / units.weights, within=within)
        for units, (begin, end) in zip(
            parts, itertools.pairwise(bounds), strict=True
        )
    ]


def spread_stack(
    pattern: Pattern, view: KernelView, pruned: list[np.ndarray]
) -> np.ndarray:
    """Joins the units of all matrices to one matrix of weights."""
    parts = [pattern.spread(part, view.matrix_shape) for part in pruned]
    return parts[0] if len(parts) == 1 else np.hstack(parts)


def prune_stack_runs(
    pattern: NM,
    view: KernelView,
    scores: np.ndarray,
    sparsity: float,
    previous: np.ndarray | None,
) -> np.ndarray:
    """Marks the lowest weights in each run of each matrix."""
    return np.hstack(
        [
            prune_runs(pattern, part, sparsity, mask)
            for part, mask in _split(view, scores, previous)
        ]
    )


def _split(
    view: KernelView, matrix: np.ndarray, previous: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yields the scores and the mask of each matrix of a stack."""
    masks: Iterable[np.ndarray | None] = itertools.repeat(None, view.stack)
    if previous is not None:
        masks = np.hsplit(previous, view.stack)
    return zip(np.hsplit(matrix, view.stack), masks, strict=True)
