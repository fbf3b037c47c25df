"""Computes masks by a score of the whole model, round by round."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.sparsity.calibration import check_calibration_data
from keras_netopt.sparsity.model_score import ModelScore
from keras_netopt.sparsity.selection import WeightTarget

Masks = list[np.ndarray]


def find_masks_in_rounds(
    score: ModelScore,
    compute: Callable[[float, Masks | None, Masks], Masks],
    model: keras.Model,
    targets: Sequence[WeightTarget],
    sparsity: float,
    data: Any,
    previous: Sequence[np.ndarray] | None,
) -> Masks:
    """Measures a score and computes masks, once per round.

    The density falls exponentially: in round k of n it is the n-th root of
    the final density to the power of k.

    Args:
        score: The score.
        compute: A function of sparsity, current masks and scores that returns
            masks.
        model: The model; it does not change.
        targets: The targets.
        sparsity: Sparsity after the last round.
        data: The calibration data, or `None`.
        previous: The current masks, or `None`.
    """
    check_calibration_data(score, data)
    masks = None if previous is None else list(previous)
    current = _share_of_zeros(masks)
    with score.open(model, targets, data) as measure:
        for k in range(1, score.rounds + 1):
            now = 1.0 - (1.0 - sparsity) ** (k / score.rounds)
            if k == score.rounds:
                now = sparsity
            elif now <= current:
                continue
            masks = compute(now, masks, measure(masks))
    return [] if masks is None else masks


def _share_of_zeros(masks: Masks | None) -> float:
    if not masks:
        return 0.0
    kept = sum(int(np.count_nonzero(mask)) for mask in masks)
    return 1.0 - kept / max(1, sum(mask.size for mask in masks))
