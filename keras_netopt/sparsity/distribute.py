"""Marks the weights of all targets that are pruned, by their scores."""

from collections.abc import Sequence

import numpy as np

from keras_netopt.sparsity import stacks
from keras_netopt.sparsity.allocation import layer_sparsities
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.masks import prune_globally
from keras_netopt.sparsity.patterns import NM, Pattern
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.sparsity.sparsity_budget import SparsityBudget


def prune_runs(
    pattern: NM,
    targets: Sequence[WeightTarget],
    sparsity: float,
    matrices: Sequence[np.ndarray],
    earlier: Sequence[np.ndarray | None],
) -> list[np.ndarray]:
    """Marks the lowest scores in the runs of an n:m pattern.

    Args:
        pattern: The pattern.
        targets: The targets; `allocation` may leave some of them dense.
        sparsity: Share of the weights to prune now.
        matrices: The scores of each target, of shape `(fan_in, fan_out)`.
        earlier: The current mask of each target in this shape, or `None`.

    Returns:
        Boolean matrices, `True` = pruned.
    """
    shares = [
        sparsity if target.sparsity is None else target.sparsity
        for target in targets
    ]
    return [
        stacks.prune_stack_runs(pattern, target.view, matrix, share, mask)
        for target, matrix, share, mask in zip(
            targets, matrices, shares, earlier, strict=True
        )
    ]


def prune_units(
    pattern: Pattern,
    budget: SparsityBudget,
    views: Sequence[KernelView],
    matrices: Sequence[np.ndarray],
    earlier: Sequence[np.ndarray | None],
    *,
    min_kept: int | None,
    within: bool,
) -> list[np.ndarray]:
    """Marks the lowest units of all targets.

    Args:
        pattern: The pattern, which determines the units.
        budget: The sparsity of each target.
        views: The view of each target.
        matrices: The scores of each target, of shape `(fan_in, fan_out)`.
        earlier: The current mask of each target in this shape, or `None`.
        min_kept: Weights that each matrix keeps under "global", see
            `masks.prune_globally`.
        within: Whether units are compared within each output unit only.

    Returns:
        Boolean matrices, `True` = pruned.
    """
    layers = [
        stacks.score_stack(pattern, *arguments)
        for arguments in zip(views, matrices, earlier, strict=True)
    ]
    pruned: dict[int, list[np.ndarray]] = {}
    shares = dict(budget.by_hand)
    if budget.rule == "global":
        together = iter(
            prune_globally(
                [part for i in budget.rest for part in layers[i]],
                budget.weights,
                min_kept,
                within=within,
            )
        )
        for i in budget.rest:
            pruned[i] = [next(together) for _ in layers[i]]
    else:
        rest = [views[i] for i in budget.rest]
        found = layer_sparsities(budget.rule, rest, budget.sparsity)
        shares.update(zip(budget.rest, found, strict=True))
    for i, share in shares.items():
        pruned[i] = stacks.prune_stack(layers[i], share, within=within)
    return [
        stacks.spread_stack(pattern, view, pruned[i])
        for i, view in enumerate(views)
    ]
