"""Splits a total sparsity between layers set by hand and other layers."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_netopt.sparsity.allocation import PerLayer
from keras_netopt.sparsity.selection import WeightTarget


@dataclass(frozen=True)
class SparsityBudget:
    """The sparsity of each target at one update.

    Args:
        by_hand: Sparsity of the targets that `PerLayer` sets, by index.
        rest: Indices of the other targets.
        rule: Allocation of the others: "uniform", "erk", "er" or "global".
        sparsity: Sparsity of the others together.
        weights: Number of weights to prune in the others.
    """

    by_hand: dict[int, float]
    rest: tuple[int, ...]
    rule: str
    sparsity: float
    weights: int


def split_sparsity(
    allocation: str | PerLayer,
    targets: Sequence[WeightTarget],
    sparsity: float,
    final: float | None = None,
) -> SparsityBudget:
    """Splits the sparsity of one update among the targets.

    Args:
        allocation: The pruner's allocation.
        targets: All targets.
        sparsity: Current sparsity.
        final: Sparsity at the end of the schedule; layers set by hand have the
            same share of their sparsity. Defaults to `None`: `sparsity`.
    """
    sizes = [target.view.size for target in targets]
    if not isinstance(allocation, PerLayer):
        total = round(sum(sizes) * sparsity)
        every = tuple(range(len(sizes)))
        return SparsityBudget({}, every, allocation, sparsity, total)
    share = sparsity / final if final else 1.0
    by_hand = {
        i: target.sparsity * share
        for i, target in enumerate(targets)
        if target.sparsity is not None
    }
    rest = tuple(i for i in range(len(sizes)) if i not in by_hand)
    room = sum(sizes[i] for i in rest)
    weights = round(room * sparsity)
    if allocation.keep_total and rest:
        pruned = sum(round(sizes[i] * value) for i, value in by_hand.items())
        weights = round(sum(sizes) * sparsity) - pruned
        # Rounding during a schedule may give a small negative number.
        weights = weights if weights < -len(by_hand) else max(0, weights)
        _check_room(allocation, sparsity, weights, room)
        sparsity = weights / room
    return SparsityBudget(by_hand, rest, allocation.rest, sparsity, weights)


def _check_room(
    allocation: PerLayer, sparsity: float, weights: int, room: int
) -> None:
    if 0 <= weights <= room:
        return
    fault = "too much" if weights < 0 else "too little"
    raise ValueError(
        f"Argument `allocation` prunes {fault} by hand for a total sparsity "
        f"of {sparsity:g}: the other layers would have to prune {weights} of "
        f"their {room} weights. Change it, or pass "
        "`PerLayer(..., keep_total=False)`. "
        f"Received: allocation={allocation.values!r}"
    )
