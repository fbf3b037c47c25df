"""Where pruned weights return while the number of weights stays constant."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from keras import ops

from keras_netopt.sparsity import stacks
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.patterns import Pattern
from keras_netopt.sparsity.ranking import mark_lowest

DECAY = 0.9
STRAIGHT_THROUGH = "straight_through"


@dataclass(frozen=True)
class Regrow:
    """One way of choosing the weights that return.

    Args:
        name: Its short name.
        accumulate: `(statistic, weight, gradient) -> statistic`, run in every
            step before the gradients are masked, or `None`: the choice is
            random.
    """

    name: str
    accumulate: Callable[[Any, Any, Any], Any] | None = None


def _last(statistic: Any, weight: Any, gradient: Any) -> Any:
    """Keeps the gradient of the last step."""
    return ops.cast(gradient, statistic.dtype)


def _average(statistic: Any, weight: Any, gradient: Any) -> Any:
    """Averages the gradients of the last steps, about ten of them."""
    gradient = ops.cast(gradient, statistic.dtype)
    return DECAY * ops.convert_to_tensor(statistic) + (1 - DECAY) * gradient


REGROW = {
    one.name: one
    for one in (
        Regrow("random"),
        Regrow(STRAIGHT_THROUGH),
        Regrow("gradient", _last),
        Regrow("momentum", _average),
    )
}


def drop_and_grow(
    active: np.ndarray,
    magnitude: np.ndarray,
    growth: np.ndarray,
    drop_fraction: float,
) -> np.ndarray:
    """Replaces the smallest of the active units by others.

    The units that are dropped may grow again at once; those keep their
    weights. The number of active units does not change.

    Example:

    >>> import numpy as np
    >>> active = np.array([True, True, False, False])
    >>> magnitude = np.array([3.0, 1.0, 0.0, 0.0])
    >>> growth = np.array([0.0, 0.1, 0.2, 0.9])
    >>> drop_and_grow(active, magnitude, growth, 0.5)
    array([ True, False, False,  True])

    Args:
        active: Boolean array of shape `(units,)`.
        magnitude: Size of each unit, same shape.
        growth: The inactive units with the largest values become active,
            same shape; overwritten.
        drop_fraction: Share of the active units to drop, in [0, 1]; rounded
            down to whole units.

    Returns:
        The new boolean array.

    Reference:
        Mocanu et al., 2018, https://arxiv.org/abs/1707.04780; Evci et al.,
        2020, https://arxiv.org/abs/1911.11134.
    """
    count = int(drop_fraction * np.count_nonzero(active))
    kept = active.copy()
    kept[active] = ~mark_lowest(magnitude[active], count)
    growth[kept] = -np.inf
    np.negative(growth, out=growth)  # Ranked from the largest down.
    return kept | mark_lowest(growth, count)


def update_mask(
    pattern: Pattern,
    view: KernelView,
    mask: np.ndarray,
    weight: np.ndarray,
    growth: np.ndarray,
    drop_fraction: float,
) -> np.ndarray:
    """Updates the mask of one weight, each matrix of a stack by itself.

    Args:
        pattern: Which weights are dropped and grown together.
        view: The weight as a matrix.
        mask: The current mask, in the shape of the weight.
        weight: The values; overwritten.
        growth: Larger values grow first, same shape, not negative;
            overwritten.
        drop_fraction: Share of the active units to drop, in [0, 1].

    Returns:
        The new mask, with as many units.
    """
    magnitude = view.to_2d(np.abs(weight, out=weight))
    layers = stacks.score_stack(
        pattern, view, magnitude, view.to_2d(np.asarray(mask, bool))
    )
    grown = stacks.score_stack(pattern, view, view.to_2d(growth), None)
    pruned = []
    for units, growing in zip(layers, grown, strict=True):
        inactive = cast(np.ndarray, units.first)
        found = drop_and_grow(
            ~inactive.ravel(),
            units.scores.ravel(),
            np.ascontiguousarray(growing.scores).ravel(),
            drop_fraction,
        )
        pruned.append(~found.reshape(units.scores.shape))
    spread = stacks.spread_stack(pattern, view, pruned)
    return np.ascontiguousarray(view.from_2d(~spread))
