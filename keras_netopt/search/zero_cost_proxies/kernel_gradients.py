"""Proxies of the gradient of the loss with respect to the kernels."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training.gradients import compute_gradients
from keras_netopt.training.normalization_modes import batch_statistics

# Kernels and their gradients.
KernelGradients = list[tuple[np.ndarray, np.ndarray]]


def measure_gradients(model: keras.Model, x: Any, y: Any) -> KernelGradients:
    """Computes the gradients of the compiled loss on one batch.

    Kernels are the trainable variables with two axes or more. Batch
    normalization uses the batch; dropout is off.
    """
    kernels = [v for v in model.trainable_variables if len(v.shape) > 1]
    with batch_statistics(model):
        found = compute_gradients(model, x, y, variables=kernels)
    values = [np.asarray(ops.convert_to_numpy(v.value)) for v in kernels]
    return [
        (value.astype(np.float64), gradient.astype(np.float64))
        for value, gradient in zip(values, found, strict=True)
    ]


def grad_norm(gradients: KernelGradients) -> float:
    """Returns the sum of the 2-norms of the gradients of the kernels."""
    return float(sum(np.linalg.norm(g) for _, g in gradients))


def snip(gradients: KernelGradients) -> float:
    """Returns the sum of `abs(w * g)` over the kernels."""
    return float(sum(np.sum(np.abs(w * g)) for w, g in gradients))
