"""Proxy of the gradients of the outputs with respect to the inputs."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training.backend_functions import linear_outputs
from keras_netopt.training.gradients import differentiate
from keras_netopt.training.normalization_modes import batch_statistics

EPSILON = 1e-5


def measure_jacobian(model: keras.Model, x: Any) -> np.ndarray:
    """Computes the gradient of the sum of the outputs for every sample.

    Batch normalization uses the batch. A softmax or sigmoid at the
    output is left out.

    Returns:
        Array of shape (samples, input values), over all float inputs.

    Raises:
        ValueError: If no input is float, or the samples are not fewer than
            the values of one.
    """
    leaves = keras.tree.flatten(x)
    floats = [i for i, one in enumerate(leaves) if _is_float(one)]
    if not floats:
        raise ValueError(
            "Argument `model` must have a float input for the proxy "
            "'jacob_cov': integers have no gradient. Choose 'synflow' or "
            f"'naswot'. Received: inputs of {[str(v.dtype) for v in leaves]}"
        )
    samples = len(leaves[0])
    size = sum(int(np.prod(leaves[i].shape[1:])) for i in floats)
    if samples >= size:
        raise ValueError(
            "Argument `samples` must be below the number of input values of "
            "a sample for the proxy 'jacob_cov': more samples are linearly "
            f"dependent. Received: samples={samples}, {size} input values"
        )

    def respond(values: list[Any]) -> Any:
        given = list(leaves)
        for i, value in zip(floats, values, strict=True):
            given[i] = value
        inputs = keras.tree.pack_sequence_as(x, given)
        with keras.StatelessScope():
            outputs = keras.tree.flatten(model(inputs, training=False))
            return sum(ops.sum(ops.cast(one, "float32")) for one in outputs)

    with batch_statistics(model), linear_outputs(model, x):
        found = differentiate(respond, [leaves[i] for i in floats])
    rows = [
        np.zeros((samples, 1))
        if one is None
        else np.asarray(ops.convert_to_numpy(one)).reshape(samples, -1)
        for one in found
    ]
    return np.concatenate(rows, axis=1).astype(np.float64)


def jacob_cov(jacobian: np.ndarray) -> float:
    """Returns -sum(log(v + k) + 1 / (v + k)) of the correlation's eigenvalues.

    k is 1e-5; -inf if a sample has a constant gradient.
    """
    if np.any(np.ptp(jacobian, axis=1) == 0):
        return -np.inf
    values = np.linalg.eigvalsh(np.corrcoef(jacobian))
    values = np.maximum(values, 0.0) + EPSILON
    return float(-np.sum(np.log(values) + 1 / values))


def _is_float(array: Any) -> bool:
    return bool(np.issubdtype(array.dtype, np.floating))
