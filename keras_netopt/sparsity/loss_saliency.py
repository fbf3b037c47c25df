"""Derivatives of the loss on calibration data, for masks before training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.sparsity.calibration import check_targets
from keras_netopt.sparsity.class_samples import take_class_samples
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.compiled_terms import (
    compiled_terms,
    sums_samples,
)
from keras_netopt.training.gradients import (
    Loss,
    differentiate,
    make_stateless_loss,
    multiply_hessian,
)

BATCH_SIZE = 128
Derivative = Callable[[Loss, list[Any]], list[Any]]


@dataclass(frozen=True)
class CalibrationLoss:
    """The compiled loss on calibration data, the mean over all samples.

    Of a loss that is a sum over the samples of a batch, it is the sum over all
    samples, divided by the number of batches.

    Args:
        losses: The loss of each batch as a function of the weights.
        shares: The weight of each batch in the mean: its samples, or 1 for a
            sum.
    """

    losses: list[Loss]
    shares: list[int]

    @classmethod
    def create(
        cls,
        model: keras.Model,
        variables: Sequence[Any],
        data: Any,
        *,
        samples_per_class: int | None,
        temperature: float = 1.0,
    ) -> "CalibrationLoss":
        """Reads the data and prepares the loss of each batch.

        Args:
            model: A compiled and built model.
            variables: The weights.
            data: `(x, y)` arrays or an iterable of batches.
            samples_per_class: Samples of each class that are taken of arrays;
                `None` takes all.
            temperature: Divisor of the outputs that the loss reads as logits.
                Defaults to `1.0`.
        """

        def divide(y_pred: Any) -> Any:
            flat = [
                y / temperature if term.from_logits else y
                for y, term in zip(
                    keras.tree.flatten(y_pred),
                    compiled_terms(model, y_pred),
                    strict=True,
                )
            ]
            return keras.tree.pack_sequence_as(y_pred, flat)

        if samples_per_class is not None:
            data = take_class_samples(data, samples_per_class)
        losses, shares = [], []
        for x, y, sample_weight in iterate_batches(data, batch_size=BATCH_SIZE):
            check_targets(model, y)
            losses.append(
                make_stateless_loss(
                    model,
                    variables,
                    x,
                    y,
                    sample_weight,
                    change_outputs=None if temperature == 1.0 else divide,
                )
            )
            size = len(keras.tree.flatten(x)[0])
            shares.append(1 if sums_samples(model) else size)
        return cls(losses, shares)

    def gradient(self, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns the gradient, one array per weight."""
        return self._mean(differentiate, weights)

    def hessian_product(
        self, weights: Sequence[np.ndarray], vectors: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Returns the product of the Hessian and one vector per weight."""
        return self._mean(
            lambda loss, values: multiply_hessian(loss, values, vectors),
            weights,
        )

    def _mean(
        self, derive: Derivative, weights: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        values = [ops.convert_to_tensor(weight) for weight in weights]
        totals = [np.zeros(weight.shape, np.float32) for weight in weights]
        for loss, share in zip(self.losses, self.shares, strict=True):
            for total, found in zip(totals, derive(loss, values), strict=True):
                if found is not None:
                    total += share * np.asarray(ops.convert_to_numpy(found))
        return [total / sum(self.shares) for total in totals]


def read_masked(
    variables: Sequence[Any], masks: Sequence[np.ndarray] | None
) -> list[np.ndarray]:
    """Returns weights in float32, zero where a mask is `False`."""
    values = [
        np.asarray(ops.convert_to_numpy(variable.value)).astype(np.float32)
        for variable in variables
    ]
    if masks is None:
        return values
    return [
        np.where(mask, value, np.zeros_like(value))
        for value, mask in zip(values, masks, strict=True)
    ]
