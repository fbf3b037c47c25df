"""Scores the weights of all targets."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_netopt.sparsity.lazy_arrays import LazyArrays
from keras_netopt.sparsity.scores import Score, ScoreInputs
from keras_netopt.sparsity.selection import WeightTarget


def score_targets(
    score: Score,
    seed: int,
    targets: Sequence[WeightTarget],
    weights: Sequence[np.ndarray],
    statistics: Sequence[Any] | None,
    update: int,
) -> Sequence[np.ndarray]:
    """Computes the scores of each target, of shape `(fan_in, fan_out)`.

    Scores that are computed quickly are not held: each read of an item
    computes it again. An error of other scores, or of statistics, is raised
    here, before the first read.

    Args:
        score: The score.
        seed: Seed of the random score.
        targets: The targets.
        weights: Their values.
        statistics: What the score needs, one array per target, or `None`.
        update: Number of this update, for the random score.

    Raises:
        ValueError: If a score is not finite, or statistics are missing.
    """
    if score.needs is not None and statistics is None:
        raise ValueError(
            "Argument `statistics` must hold one array per target for "
            f"score={score.name!r}. Received: statistics=None"
        )
    given = [None] * len(targets) if statistics is None else statistics

    def compute(i: int) -> np.ndarray:
        return _score(score, seed, targets[i], weights[i], given[i], update)

    found = LazyArrays(compute, range(len(targets)))
    if not score.repeats:
        return list(found)
    if score.needs is not None:
        for _ in found:  # Statistics may hold infinity, finite weights do not.
            pass
    return found


def _score(
    score: Score,
    seed: int,
    target: WeightTarget,
    weight: np.ndarray,
    statistic: Any,
    update: int,
) -> np.ndarray:
    key = zlib.crc32(target.key.encode())
    rng = np.random.default_rng([seed, key, update])
    found = score.compute(
        ScoreInputs(_as_float(weight), target, statistic, rng)
    )
    if not np.isfinite(found).all():
        raise ValueError(
            f"The scores of `{target.key}` must be finite: its "
            "weights, gradients or activations hold NaN or infinity. "
            f"Received: score={score.name!r}"
        )
    return target.view.to_2d(found)


def _as_float(weight: np.ndarray) -> np.ndarray:
    """Half-precision weights are scored in float32."""
    array = np.asarray(weight)
    is_plain = array.dtype in (np.float32, np.float64)
    return array if is_plain else array.astype(np.float32)
