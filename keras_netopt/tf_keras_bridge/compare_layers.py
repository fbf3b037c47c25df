"""Compares a model and its twin layer by layer, on equal inputs.

The outputs of a model alone may hide a difference, behind a softmax that is
saturated or a ReLU that is 0 for random inputs.
"""

from typing import Any

import keras
import numpy as np

from keras_netopt.export.rebuild_error import find_reason
from keras_netopt.graph.model_graph import mask_of, set_mask
from keras_netopt.tf_keras_bridge.bridge_error import BridgeError
from keras_netopt.tf_keras_bridge.flat_call import FlatCall, FlatGraph, Value
from keras_netopt.tf_keras_bridge.twin_builder import (
    TwinBuilder,
    as_numpy,
    tf_keras_flatten,
)

# Looser than for the whole model: a layer may divide by a small spread.
TOLERANCE = 1e-4


def check_layers(builder: TwinBuilder, probes: list[np.ndarray]) -> None:
    """Raises BridgeError that names the layers that compute something else."""
    graph = builder.graph
    known: dict[int, Any] = {
        id(value): keras.ops.convert_to_tensor(probe)
        for value, probe in zip(graph.inputs, probes, strict=True)
    }
    wrong: dict[str, float] = {}
    last_use = _last_uses(graph)
    for k, call in enumerate(graph.calls):
        # Attention layers of Keras take the masks off their inputs.
        tensors = {
            id(value): _to_tensorflow(known[id(value)], value.dtype)
            for value in call.tensors
        }
        try:
            outputs = _run_source(call, known)
        # A layer may raise any error, such as for an axis of another size.
        except Exception as error:
            raise BridgeError(
                f"The model itself fails at '{call.path}' on random inputs of "
                f"the shapes {[probe.shape for probe in probes]}: "
                f"{find_reason(str(error))}. Give free axes a size."
            ) from error
        actual = [
            one.numpy() for one in tf_keras_flatten(builder.call(call, tensors))
        ]
        gap = _measure(outputs, actual)
        if not gap <= TOLERANCE:
            wrong[call.path] = max(gap, wrong.get(call.path, 0.0))
        known |= {
            id(value): one
            for value, one in zip(call.outputs, outputs, strict=True)
        }
        for key in last_use.get(k, ()):
            known.pop(key, None)
    if wrong:
        lines = "\n".join(f"- {path}: {gap:.1e}" for path, gap in wrong.items())
        raise BridgeError(
            "These layers compute something else in tf_keras; the numbers are "
            f"the largest difference relative to the largest output:\n{lines}"
        )


def _last_uses(graph: FlatGraph) -> dict[int, list[int]]:
    """Returns the tensors that no later call takes, by number of the call."""
    last: dict[int, int] = {}
    for k, call in enumerate(graph.calls):
        last |= {id(value): k for value in (*call.tensors, *call.outputs)}
    found: dict[int, list[int]] = {}
    for key, k in last.items():
        found.setdefault(k, []).append(key)
    return found


def _run_source(call: FlatCall, known: dict[int, Any]) -> list[Any]:
    args, kwargs = keras.tree.map_structure(
        lambda leaf: known[id(leaf)] if isinstance(leaf, Value) else leaf,
        (call.args, call.kwargs),
    )
    if "training" in kwargs:
        kwargs["training"] = False
    return list(keras.tree.flatten(call.operation(*args, **kwargs)))


def _to_tensorflow(tensor: Any, dtype: str) -> Any:
    import tensorflow as tf

    converted = tf.constant(as_numpy(tensor, dtype))
    mask = mask_of(tensor)
    if mask is not None:
        set_mask(converted, tf.constant(as_numpy(mask, "bool")))
    return converted


def _measure(expected: list[Any], actual: list[Any]) -> float:
    worst = 0.0
    for one, other in zip(expected, actual, strict=True):
        a = as_numpy(one, "float64")
        if a.shape != other.shape:
            return np.inf
        b = other.astype("float64")
        finite = np.isfinite(a)
        if not np.array_equal(finite, np.isfinite(b)):
            return np.inf
        scale = max(1.0, float(np.abs(a[finite]).max(initial=0.0)))
        gap = np.abs(a[finite] - b[finite]).max(initial=0.0)
        worst = max(worst, float(gap) / scale)
    return worst
