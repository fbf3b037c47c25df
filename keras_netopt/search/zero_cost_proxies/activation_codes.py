"""Activations of a batch: codes of the rectifiers and spectra of features."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training.backend_functions import capture_rectifier_inputs
from keras_netopt.training.normalization_modes import batch_statistics

WORD = 64  # Bits of one word of a pattern.


@dataclass(frozen=True)
class ActivationCodes:
    """What the rectifiers of a model do with a batch of N samples.

    Args:
        agreement: (N, N) array: the number of units with the same state for
            both samples, which is `units` minus the Hamming distance.
        units: Number of units, over all rectifiers.
        patterns: Number of distinct patterns, those of a unit over the batch.
        correlation: Sum over the rectifiers of the smallest eigenvalue of
            the correlation of the channels of their inputs.
        spectrum: Eigenvalues of the covariance of the channels at the input
            of the last rectifier, at least 0.
    """

    agreement: np.ndarray
    units: int
    patterns: int
    correlation: float
    spectrum: np.ndarray


def collect_codes(model: keras.Model, x: Any) -> ActivationCodes:
    """Runs a batch through a model and compares its activations.

    A unit is on where the input of its rectifier (ReLU, GELU, SiLU and the
    like) is above 0. Batch normalization uses the batch.

    Raises:
        ValueError: If no rectifier is applied to the batch.
    """
    count = len(keras.tree.flatten(x)[0])
    agreement, units, correlation = np.zeros((count, count)), 0, 0.0
    patterns: list[np.ndarray] = []
    spectrum = np.zeros(1)

    def observe(inputs: Any) -> None:
        nonlocal agreement, units, correlation, spectrum
        values = np.asarray(ops.convert_to_numpy(ops.cast(inputs, "float32")))
        if values.ndim < 2 or len(values) != count:
            return
        is_on = values.reshape(count, -1) > 0
        signs = np.where(is_on, np.float32(1), np.float32(-1))
        # Sums of +-1 are exact in float32 up to 2 ** 24 units.
        products = (signs @ signs.T).astype(np.float64)
        agreement += (signs.shape[1] + products) / 2
        units += signs.shape[1]
        patterns.append(np.unique(_to_words(is_on)))
        covariance = _covariance(values)
        correlation += _smallest_eigenvalue(covariance)
        spectrum = np.maximum(np.linalg.eigvalsh(covariance), 0.0)

    with batch_statistics(model):
        capture_rectifier_inputs(model, x, observe)
    if not units:
        raise ValueError(
            "Argument `model` must have rectifiers (ReLU, LeakyReLU, ELU, "
            "GELU, SiLU or softplus) for the proxies of activations: choose "
            "others, as in `proxies='synflow'`. Received: "
            f"model=<{type(model).__name__} name={model.name}> without one"
        )
    return ActivationCodes(
        agreement,
        units,
        len(np.unique(np.concatenate(patterns))),
        correlation,
        spectrum,
    )


def naswot(codes: ActivationCodes) -> float:
    """Returns log(det(K)) of the agreement K; -inf if two codes are equal."""
    agreement = codes.agreement
    others = agreement[~np.eye(len(agreement), dtype=bool)]
    if np.any(others >= codes.units):
        return -np.inf
    return float(np.linalg.slogdet(agreement)[1])


def swap(codes: ActivationCodes) -> float:
    """Returns the number of distinct patterns of units over the batch."""
    return float(codes.patterns)


def meco(codes: ActivationCodes) -> float:
    """Returns the sum of smallest eigenvalues of the channels' correlation."""
    return codes.correlation


def channel_entropy(codes: ActivationCodes) -> float:
    """Returns the entropy of the last spectrum, as shares of its sum.

    It is 0 if one direction holds all variance, the logarithm of their number
    if all hold the same, and -inf without variance.
    """
    total = codes.spectrum.sum()
    if not total > 0:
        return -np.inf
    shares = codes.spectrum / total
    shares = shares[shares > 1e-12]
    return float(-np.sum(shares * np.log(shares)))


def _to_words(is_on: np.ndarray) -> np.ndarray:
    """Returns one integer per unit: its bits over the batch, or their hash."""
    count, units = is_on.shape
    words = -(-count // WORD)
    bits = np.zeros((units, words * WORD), bool)
    bits[:, :count] = is_on.T
    found = np.packbits(bits, axis=1).view(np.uint64)
    if words == 1:
        return np.asarray(found[:, 0])
    factors = np.random.default_rng(0).integers(2**63, size=words) * 2 + 1
    return np.asarray(found @ factors.astype(np.uint64))


def _covariance(values: np.ndarray) -> np.ndarray:
    """Returns the covariance of the channels over samples and positions."""
    first = keras.config.image_data_format() == "channels_first"
    axis = 1 if first and values.ndim > 3 else -1
    rows = np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis])
    rows = rows - rows.mean(axis=0)
    return np.asarray((rows.T @ rows).astype(np.float64) / len(rows))


def _smallest_eigenvalue(covariance: np.ndarray) -> float:
    """Returns that of the correlation; a constant channel correlates with 0."""
    scale = np.sqrt(np.diag(covariance))
    scale[scale == 0] = np.inf
    correlation = covariance / np.outer(scale, scale)
    return float(max(np.linalg.eigvalsh(correlation)[0], 0.0))
