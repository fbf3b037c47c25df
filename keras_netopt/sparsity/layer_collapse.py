"""Finds layers that keep so few weights that little signal passes them."""

from collections.abc import Sequence

import numpy as np

from keras_netopt.sparsity.allocation import layer_sparsities
from keras_netopt.sparsity.patterns import Pattern
from keras_netopt.sparsity.ranking import mark_lowest_units
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.sparsity.sparsity_budget import SparsityBudget


def is_collapsed(kept: int, size: int, outputs: int, density: float) -> bool:
    """Whether an allocation has starved a layer.

    It keeps one weight per output unit or fewer, and less than a quarter of
    the share that all layers together keep.

    Example:

    >>> is_collapsed(1, 235_200, 300, density=0.02)
    True
    >>> is_collapsed(4_704, 235_200, 300, density=0.02)
    False

    Args:
        kept: Number of kept weights.
        size: Number of weights.
        outputs: Number of output units.
        density: Share of the weights that all layers keep.
    """
    return kept <= outputs and 4 * kept < size * density


def find_collapsed(
    targets: Sequence[WeightTarget], kept: Sequence[int]
) -> list[str]:
    """Returns the keys of collapsed targets, by their numbers of kept weights.

    Targets whose sparsity `allocation` names are collapsed only if they keep
    no weight.
    """
    total = sum(target.view.size for target in targets)
    density = sum(kept) / total if total else 1.0
    return [
        target.key
        for target, count in zip(targets, kept, strict=True)
        if (count == 0 and target.view.size > 0)
        or (
            target.sparsity is None
            and is_collapsed(
                count, target.view.size, target.view.fan_out, density
            )
        )
    ]


def describe_collapse(keys: Sequence[str]) -> str:
    """Returns the text of a `LayerCollapseWarning`."""
    names = ", ".join(f"`{key}`" for key in keys)
    return (
        f"{names} keeps at most one weight per output unit, and less than a "
        "quarter of the share that all layers keep: little signal passes such "
        'a layer, and training may fail. Use `allocation="erk"`, a lower '
        "sparsity, or a larger `min_kept`."
    )


def check_not_emptied(
    pattern: Pattern,
    budget: SparsityBudget,
    targets: Sequence[WeightTarget],
    *,
    within: bool,
) -> None:
    """Raises a ValueError if a share removes all weights of a target.

    A global threshold is not checked: `min_kept` guards its layers.
    """
    shares = dict(budget.by_hand)
    if budget.rule != "global":
        views = [targets[i].view for i in budget.rest]
        found = layer_sparsities(budget.rule, views, budget.sparsity)
        shares.update(zip(budget.rest, found, strict=True))
    for i, share in shares.items():
        target = targets[i]
        if share > 0 and _empties(pattern, target, float(share), within=within):
            raise ValueError(
                "Argument `sparsity` must leave each weight at least one "
                f"element, but a sparsity of {share:.4g} removes all "
                f"{target.view.size} of `{target.key}`. Lower it, leave the "
                "weight out with `exclude` or `min_size`, or use "
                'allocation="global", which keeps `min_kept` elements. '
                f"Received: allocation={budget.rule!r}"
            )


def _empties(
    pattern: Pattern, target: WeightTarget, share: float, *, within: bool
) -> bool:
    sizes = pattern.sizes(target.view.matrix_shape)
    if within and sizes.shape[0] > 1:
        return round(sizes.shape[0] * share) >= sizes.shape[0]
    total = int(sizes.sum(dtype=np.int64)) * target.view.stack
    # The matrix of a stack that loses most, see `stacks.prune_stack`.
    count = -(-round(total * share) // target.view.stack)
    if count < sizes.sum() - sizes.max():
        return False
    scores: np.ndarray = np.zeros(sizes.size, np.float32)
    return bool(mark_lowest_units(scores, sizes.ravel(), count).all())
