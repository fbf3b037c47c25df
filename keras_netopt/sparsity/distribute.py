"""Marks the weights of all targets that are pruned, by their scores."""

from collections.abc import Iterator, Sequence

import numpy as np

from keras_netopt.sparsity import stacks
from keras_netopt.sparsity.allocation import layer_sparsities
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.masks import prune_globally
from keras_netopt.sparsity.patterns import NM, Pattern, Unstructured
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.sparsity.sparsity_budget import SparsityBudget
from keras_netopt.sparsity.weight_ranking import WeightRanking
from keras_netopt.training.lazy_arrays import LazyArrays


def prune_runs(
    pattern: NM,
    targets: Sequence[WeightTarget],
    sparsity: float,
    matrices: Sequence[np.ndarray],
    earlier: Sequence[np.ndarray | None],
) -> Iterator[np.ndarray]:
    """Yields the lowest scores of each target in the runs of an n:m pattern.

    Args:
        pattern: The pattern.
        targets: The targets; `allocation` may leave some of them dense.
        sparsity: Share of the weights to prune now.
        matrices: The scores of each target, of shape `(fan_in, fan_out)`.
        earlier: The current mask of each target in this shape, or `None`.

    Yields:
        Boolean matrices, `True` = pruned.
    """
    for i, target in enumerate(targets):
        share = sparsity if target.sparsity is None else target.sparsity
        yield stacks.prune_stack_runs(
            pattern, target.view, matrices[i], share, earlier[i]
        )


def prune_units(
    pattern: Pattern,
    budget: SparsityBudget,
    views: Sequence[KernelView],
    matrices: Sequence[np.ndarray],
    earlier: Sequence[np.ndarray | None],
    *,
    min_kept: int | None,
    within: bool,
) -> Iterator[np.ndarray]:
    """Yields the lowest units of each target.

    Args:
        pattern: The pattern, which determines the units.
        budget: The sparsity of each target.
        views: The view of each target.
        matrices: The scores of each target, of shape `(fan_in, fan_out)`.
        earlier: The current mask of each target in this shape, or `None`.
        min_kept: Weights that each matrix keeps under "global", see
            `masks.prune_globally`.
        within: Whether units are compared within each output unit only.

    Yields:
        Boolean matrices, `True` = pruned.
    """
    shares = dict(budget.by_hand)
    together: Iterator[list[np.ndarray]] = iter(())
    if budget.rule == "global":
        scores = LazyArrays(matrices.__getitem__, budget.rest)
        masks = LazyArrays(earlier.__getitem__, budget.rest)
        rest = [views[i] for i in budget.rest]
        if isinstance(pattern, Unstructured) and not within:
            ranking = WeightRanking(rest, scores, masks, min_kept)
            together = ranking.prune(budget.weights)
        else:
            together = _prune_units_globally(
                pattern,
                budget.weights,
                rest,
                scores,
                masks,
                min_kept=min_kept,
                within=within,
            )
    else:
        found = layer_sparsities(
            budget.rule, [views[i] for i in budget.rest], budget.sparsity
        )
        shares.update(zip(budget.rest, found, strict=True))
    for i, view in enumerate(views):
        if i in shares:
            parts = stacks.score_stack(pattern, view, matrices[i], earlier[i])
            pruned = stacks.prune_stack(parts, shares[i], within=within)
        else:
            pruned = next(together)
        yield stacks.spread_stack(pattern, view, pruned)


def _prune_units_globally(
    pattern: Pattern,
    weights: int,
    views: Sequence[KernelView],
    matrices: Sequence[np.ndarray],
    earlier: Sequence[np.ndarray | None],
    *,
    min_kept: int | None,
    within: bool,
) -> Iterator[list[np.ndarray]]:
    """Yields the units of each target, all ranked by one threshold."""
    layers = [
        stacks.score_stack(pattern, *arguments)
        for arguments in zip(views, matrices, earlier, strict=True)
    ]
    flat = [units for layer in layers for units in layer]
    found = iter(prune_globally(flat, weights, min_kept, within=within))
    for layer in layers:
        yield [next(found) for _ in layer]
