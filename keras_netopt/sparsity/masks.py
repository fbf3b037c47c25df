"""Marks the units to prune by their scores, with exact counts."""

from dataclasses import dataclass

import numpy as np

from keras_netopt.sparsity.patterns import NM, Pattern
from keras_netopt.sparsity.ranking import (
    mark_lowest,
    mark_lowest_in_columns,
    mark_lowest_units,
)


@dataclass(frozen=True, eq=False)
class UnitScores:
    """The units of one weight, each kept or pruned as a whole.

    Args:
        scores: One score per unit, a matrix with one column per output unit or
            block of them.
        sizes: Weights in each unit, same shape.
        first: Units that are pruned before all others, same shape, or `None`.
        outputs: Number of output units.
    """

    scores: np.ndarray
    sizes: np.ndarray
    first: np.ndarray | None
    outputs: int

    @classmethod
    def from_scores(
        cls, pattern: Pattern, scores: np.ndarray, previous: np.ndarray | None
    ) -> "UnitScores":
        """Pools scores of shape `(fan_in, fan_out)` into units.

        Units without a kept weight in the `previous` mask are pruned first, so
        that masks are nested.
        """
        shape = (scores.shape[0], scores.shape[1])
        first = None if previous is None else ~(pattern.pool(previous) > 0)
        return cls(pattern.pool(scores), pattern.sizes(shape), first, shape[1])

    @property
    def weights(self) -> int:
        """Number of weights in all units."""
        return int(self.sizes.sum(dtype=np.int64))


def prune_layer(
    units: UnitScores,
    sparsity: float,
    *,
    within: bool = False,
    min_kept: int = 0,
) -> np.ndarray:
    """Marks the lowest units of one layer: `True` = pruned.

    With `within`, units are compared within each column only: every column
    loses the same number of units, and at least `min_kept` units remain.
    """
    rows, columns = units.scores.shape
    if within and rows > 1:
        most = (rows * columns - min_kept) // columns
        count = max(0, min(round(rows * sparsity), most))
        return mark_lowest_in_columns(units.scores, count, units.first)
    chosen = mark_lowest_units(
        units.scores.ravel(),
        units.sizes.ravel(),
        round(units.weights * sparsity),
        None if units.first is None else units.first.ravel(),
    )
    return chosen.reshape(units.scores.shape)


def prune_globally(
    layers: list[UnitScores],
    weights: int,
    min_kept: int | None,
    *,
    within: bool = False,
) -> list[np.ndarray]:
    """Marks the lowest units of all layers, ranked by one threshold.

    Args:
        layers: The units of each layer.
        weights: Number of weights to prune in all layers together.
        min_kept: Weights that every layer keeps at least; takes precedence over
            `weights`. `None` keeps one per output unit, but no more than the
            share of all weights that is kept, and one unit at least.
        within: Whether the threshold determines only the share of each layer,
            and units are compared within each column. Defaults to `False`.
    """
    if not layers:
        return []
    if within:
        weights = _not_below_mask(layers, weights)
    total = sum(units.weights for units in layers)
    density = 1.0 - weights / total if total else 1.0
    counts = [_count_units(units, min_kept, density) for units in layers]
    scores, room = [], 0
    for units, count in zip(layers, counts, strict=True):
        unit_scores = units.scores.flatten()
        safe = find_protected(units, count)
        unit_scores[safe] = np.inf
        scores.append(unit_scores)
        room += units.weights - int(units.sizes.ravel()[safe].sum())
    chosen = mark_lowest_units(
        np.concatenate(scores),
        _join_sizes(layers),
        min(weights, room),
        _join_first(layers),
    )
    ends = np.cumsum([array.size for array in scores])[:-1]
    found = [
        part.reshape(units.scores.shape)
        for part, units in zip(np.split(chosen, ends), layers, strict=True)
    ]
    if not within:
        return found
    return [
        prune_layer(units, float(np.mean(part)), within=True, min_kept=count)
        for units, part, count in zip(layers, found, counts, strict=True)
    ]


def _not_below_mask(layers: list[UnitScores], weights: int) -> int:
    """Keeps the columns pruned by earlier rounding: masks stay nested."""
    masked = sum(
        int(units.sizes[units.first].sum())
        for units in layers
        if units.first is not None
    )
    slack = sum(u.scores.shape[1] * int(u.sizes.max()) for u in layers)
    return masked if weights < masked <= weights + slack else weights


def _count_units(
    units: UnitScores, min_kept: int | None, density: float
) -> int:
    """Returns the number of units that hold the weights to keep."""
    if units.sizes.size == 0:
        return 0
    bounds = int(units.sizes.min()), int(units.sizes.max())
    return count_protected(
        units.weights, units.outputs, min_kept, density, bounds
    )


def count_protected(
    weights: int,
    outputs: int,
    min_kept: int | None,
    density: float,
    sizes: tuple[int, int] = (1, 1),
) -> int:
    """Returns the number of units of a layer that are not pruned.

    Args:
        weights: Number of weights of the layer.
        outputs: Number of its output units.
        min_kept: Weights to keep, see `prune_globally`.
        density: Share of all weights that is kept.
        sizes: The fewest and the most weights of a unit. Defaults to single
            weights.
    """
    if weights == 0 or min_kept == 0:
        return 0
    if min_kept is not None:
        return -(-min_kept // sizes[0])
    # 0.1 * 30 must not round down for its last binary digit.
    share = int(weights * density + 1e-6)
    return max(1, min(outputs, share) // sizes[1])


def find_protected(units: UnitScores, count: int) -> np.ndarray:
    """Returns the indices of the `count` best units."""
    scores = units.scores.ravel()
    if count == 0:
        return np.zeros(0, int)
    alive: np.ndarray = np.ones(scores.size, bool)
    if units.first is not None:
        alive = ~units.first.ravel()
        scores = np.where(alive, scores, -np.inf)
    count = min(count, int(alive.sum()))
    if count == 1:
        return np.array([np.argmax(scores)])
    return np.flatnonzero(mark_lowest(-scores, count))


def _join_sizes(layers: list[UnitScores]) -> np.ndarray:
    bounds = {(int(u.sizes.min()), int(u.sizes.max())) for u in layers}
    if len(bounds) == 1 and len(set(bounds.pop())) == 1:
        # All units have one size: no array as long as the scores is needed.
        return np.broadcast_to(
            layers[0].sizes.ravel()[:1], sum(u.scores.size for u in layers)
        )
    return np.concatenate([units.sizes.ravel() for units in layers])


def _join_first(layers: list[UnitScores]) -> np.ndarray | None:
    if all(units.first is None for units in layers):
        return None
    return np.concatenate(
        [
            np.zeros(u.scores.size, bool)
            if u.first is None
            else u.first.ravel()
            for u in layers
        ]
    )


def prune_runs(
    pattern: NM,
    scores: np.ndarray,
    sparsity: float,
    previous: np.ndarray | None,
) -> np.ndarray:
    """Marks the lowest weights in each run of an n:m pattern: `True` = pruned.

    `scores` and the `previous` mask have the shape `(fan_in, fan_out)`;
    `sparsity` determines how many weights of a run are kept.
    """
    count = pattern.m - pattern.kept(sparsity)
    first = None if previous is None else pattern.runs(~previous)
    chosen = mark_lowest_in_columns(pattern.runs(scores), count, first)
    return pattern.join(chosen, (scores.shape[0], scores.shape[1]))
