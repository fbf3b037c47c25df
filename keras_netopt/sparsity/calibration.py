"""Computes the gradients and activations that scores need from data."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.sparsity.input_norms import square_sums
from keras_netopt.sparsity.scores import Score
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.training.activations import capture_inputs
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.gradients import compute_gradients
from keras_netopt.training.sample_loss import needs_targets

SAMPLES = 128


def collect_statistics(
    model: keras.Model, score: Score, targets: Sequence[WeightTarget], data: Any
) -> list[np.ndarray | None] | None:
    """Computes the statistics that a score needs, one per target.

    A statistic is `None` where no input was observed. The result is `None` if
    the score needs no statistics, or is measured on the whole model.

    Args:
        model: The model, compiled if the score needs gradients.
        score: The score.
        targets: The targets.
        data: The calibration data: `(x, y)` arrays, inputs alone for
            activations, or an iterable of batches. For gradients, arrays are
            split into batches of 32. For activations, 128 samples are used,
            spread over the arrays or from the first batches.
    """
    if score.needs in (None, "model"):
        return None
    check_calibration_data(score, data)
    if score.needs == "gradients":
        return list(_accumulate(model, score, targets, data))
    return _input_norms(model, targets, data)


def check_calibration_data(score: Score, data: Any) -> None:
    """Raises a ValueError if a score needs data and `data` is `None`."""
    form = score.data_form
    if data is None and form is not None:
        needs = "activations" if score.needs == "activations" else "gradients"
        raise ValueError(
            f"Argument `calibration_data` must be given for score="
            f"{score.name!r}, which needs {needs}: pass "
            f"calibration_data={form}. Received: calibration_data=None"
        )


def check_targets(model: keras.Model, y: Any) -> None:
    """Raises a ValueError if the compiled loss needs targets, and y is `None`.

    Args:
        model: The model.
        y: Targets of one batch.
    """
    if y is None and needs_targets(model):
        raise ValueError(
            "Argument `calibration_data` must hold targets, because the score "
            "needs gradients of the compiled loss: pass "
            "calibration_data=(x, y), or batches (x, y). Received: "
            "calibration_data without targets"
        )


def _accumulate(
    model: keras.Model, score: Score, targets: Sequence[WeightTarget], data: Any
) -> list[np.ndarray]:
    variables = [target.variable for target in targets]
    weights = [ops.convert_to_tensor(v.value) for v in variables]
    slots = [ops.zeros_like(weight) for weight in weights]
    for x, y, sample_weight in iterate_batches(data):
        check_targets(model, y)
        found = compute_gradients(
            model, x, y, sample_weight, variables=variables
        )
        slots = [
            score.accumulate(slot, weight, ops.convert_to_tensor(gradient))
            for slot, weight, gradient in zip(
                slots, weights, found, strict=True
            )
        ]
    return [np.asarray(ops.convert_to_numpy(slot)) for slot in slots]


def _input_norms(
    model: keras.Model, targets: Sequence[WeightTarget], data: Any
) -> list[np.ndarray | None]:
    by_layer = {id(target.layer): target for target in targets}
    sums: dict[int, np.ndarray] = {}

    def observe(layer: keras.Layer, inputs: np.ndarray) -> None:
        found = square_sums(layer, by_layer[id(layer)].view, inputs)
        sums[id(layer)] = sums.get(id(layer), 0.0) + found

    inputs = (x for x, _, _ in iterate_batches(data, samples=SAMPLES))
    capture_inputs(model, [t.layer for t in targets], inputs, observe)
    found = [sums.get(id(target.layer)) for target in targets]
    return [
        None if total is None else np.sqrt(total).astype(np.float32)
        for total in found
    ]
