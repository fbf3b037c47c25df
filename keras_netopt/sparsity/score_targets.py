"""Scores the weights of all targets."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_netopt.sparsity.scores import Score, ScoreInputs
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.training.lazy_arrays import LazyArrays


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

    finite: set[int] = set()

    def compute(i: int) -> np.ndarray:
        target = targets[i]
        key = zlib.crc32(target.key.encode())
        rng = np.random.default_rng([seed, key, update])
        found = score.compute(
            ScoreInputs(_as_float(weights[i]), target, given[i], rng)
        )
        if i not in finite:
            _check_finite(found, target.key, score.name)
            finite.add(i)
        return target.view.to_2d(found)

    matrices = LazyArrays(compute, range(len(targets)))
    if not score.repeats:
        return list(matrices)
    if score.needs is not None:
        for _ in matrices:  # Weights are finite, statistics may be not.
            pass
    return matrices


def _check_finite(scores: np.ndarray, key: str, name: str) -> None:
    if not np.isfinite(scores).all():
        raise ValueError(
            f"The scores of `{key}` must be finite: its "
            "weights, gradients or activations hold NaN or infinity. "
            f"Received: score={name!r}"
        )


def _as_float(weight: np.ndarray) -> np.ndarray:
    """Half-precision weights are scored in float32."""
    array = np.asarray(weight)
    is_plain = array.dtype in (np.float32, np.float64)
    return array if is_plain else array.astype(np.float32)
