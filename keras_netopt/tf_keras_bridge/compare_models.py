"""Compares the outputs of a Keras model with those of one of tf_keras."""

from typing import Any

import keras
import numpy as np

from keras_netopt.graph.symbolic import input_specs
from keras_netopt.tf_keras_bridge.bridge_error import BridgeError

# Rounding grows with depth, to 4e-5 in EfficientNetB0 with large activations.
# Each layer was compared on its own.
TOLERANCE = 1e-5
# Times what the last bit of the inputs changes: deep networks round more.
ROUNDINGS = 4


def compare_models(
    source: keras.Model, twin: Any, probes: list[np.ndarray]
) -> float:
    """Returns the largest difference relative to max(1, largest output)."""
    expected = run_source(source, probes)
    actual = run_twin(twin, probes)
    if [one.shape for one in expected] != [one.shape for one in actual]:
        raise BridgeError(
            "The twin returns other shapes than the model: "
            f"{[one.shape for one in actual]} instead of "
            f"{[one.shape for one in expected]}."
        )
    worst = 0.0
    for one, other in zip(expected, actual, strict=True):
        a: np.ndarray = one.astype("float64")
        b: np.ndarray = other.astype("float64")
        if not np.isfinite(a).all():
            raise BridgeError(
                "The model itself returns NaN or infinity on random inputs; "
                "the twin cannot be compared with it."
            )
        scale = max(1.0, float(np.abs(a).max(initial=0.0)))
        gap = float(np.abs(a - b).max(initial=0.0)) / scale
        worst = max(worst, gap if np.isfinite(gap) else np.inf)
    return worst


def check_equal(
    source: keras.Model, twin: Any, probes: list[np.ndarray], what: str
) -> float:
    """Raises BridgeError unless the outputs are equal up to rounding.

    That is `TOLERANCE`, or what the last bit of the inputs changes in the
    outputs of the model itself.
    """
    gap = compare_models(source, twin, probes)
    if gap <= TOLERANCE:
        return gap
    rounding = _measure_rounding(source, probes)
    if not gap <= ROUNDINGS * rounding:
        raise BridgeError(
            f"{what} computes something else: the largest difference is "
            f"{gap:.2e} of the largest output, above {TOLERANCE:g}. The last "
            f"bit of the inputs changes {rounding:.2e} in the model itself."
        )
    return gap


def _measure_rounding(source: keras.Model, probes: list[np.ndarray]) -> float:
    moved = [
        np.nextafter(one, np.inf, dtype=one.dtype)
        if one.dtype.kind == "f"
        else one
        for one in probes
    ]
    pairs = zip(
        run_source(source, probes), run_source(source, moved), strict=True
    )
    gaps = (
        float(np.abs(a - b).max(initial=0.0))
        / max(1.0, float(np.abs(a).max(initial=0.0)))
        for a, b in pairs
    )
    return max(gaps, default=0.0)


def run_source(model: keras.Model, probes: list[np.ndarray]) -> list[Any]:
    """Returns the flat outputs of a Keras model."""
    inputs: Any = [keras.ops.convert_to_tensor(one) for one in probes]
    packed = keras.tree.pack_sequence_as(input_specs(model)[0], inputs)
    outputs = model(packed, training=False)
    flat = keras.tree.flatten(outputs)
    return [np.asarray(keras.ops.convert_to_numpy(one)) for one in flat]


def run_twin(model: Any, probes: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the flat outputs of a model of tf_keras."""
    import tensorflow as tf

    inputs = [tf.convert_to_tensor(one) for one in probes]
    single = inputs[0] if len(inputs) == 1 else inputs
    outputs = model(single, training=False)
    return [one.numpy() for one in keras.tree.flatten(outputs)]
