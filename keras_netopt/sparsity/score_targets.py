"""Scores the weights of all targets."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_netopt.sparsity.scores import Score, ScoreInputs
from keras_netopt.sparsity.selection import WeightTarget


def score_targets(
    score: Score,
    seed: int,
    targets: Sequence[WeightTarget],
    weights: Sequence[np.ndarray],
    statistics: Sequence[Any] | None,
    update: int,
) -> list[np.ndarray]:
    """Computes the scores of each target, of shape `(fan_in, fan_out)`.

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
    matrices = []
    for target, weight, statistic in zip(targets, weights, given, strict=True):
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
        matrices.append(target.view.to_2d(found))
    return matrices


def _as_float(weight: np.ndarray) -> np.ndarray:
    """Half-precision weights are scored in float32."""
    array = np.asarray(weight)
    is_plain = array.dtype in (np.float32, np.float64)
    return array if is_plain else array.astype(np.float32)
