"""Synaptic flow: how much signal all paths of a network carry."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training.backend_functions import linear_outputs
from keras_netopt.training.double_precision import double_precision
from keras_netopt.training.gradients import differentiate
from keras_netopt.training.normalization_modes import without_normalization


@dataclass(frozen=True)
class SynapticFlow:
    """The response of a network of absolute weights to inputs of ones.

    Args:
        response: Sum of the outputs, R.
        weights: Absolute values of the trainable variables, in float64.
        gradients: Their gradients dR/dw, zeros if R does not depend on one.
    """

    response: float
    weights: list[np.ndarray]
    gradients: list[np.ndarray]


def measure_flow(model: keras.Model, x: Any) -> SynapticFlow:
    """Measures the synaptic flow of a model, in float64.

    All weights are replaced by their absolute values, the normalization
    layers of Keras by the identity, and a softmax or sigmoid at the
    output is left out. Of `x` only the structure, the shapes and the dtypes
    count.
    """
    ones = keras.tree.map_structure(_ones, x)
    trained = list(model.trainable_variables)
    fixed = [v for v in model.non_trainable_variables if _is_float(v)]

    def respond(values: list[Any]) -> Any:
        scope = keras.StatelessScope()
        # The constructor of the scope would cast to float32.
        for v, value in zip(trained + fixed, values + rest, strict=True):
            scope.state_mapping[id(v)] = value
        with scope:
            outputs = keras.tree.flatten(model(ones, training=False))
            return sum(ops.sum(ops.cast(one, "float64")) for one in outputs)

    with (
        linear_outputs(model, ones),
        without_normalization(model),
        double_precision(model),
    ):
        values = [_absolute(v) for v in trained]
        rest = [_absolute(v) for v in fixed]
        gradients = differentiate(respond, values)
        weights = [_to_array(value) for value in values]
        return SynapticFlow(
            float(ops.convert_to_numpy(respond(values))),
            weights,
            [
                np.zeros_like(weight) if one is None else _to_array(one)
                for weight, one in zip(weights, gradients, strict=True)
            ],
        )


def synflow(flow: SynapticFlow) -> float:
    """Returns the logarithm of the sum of `abs(w * dR/dw)`."""
    pairs = zip(flow.weights, flow.gradients, strict=True)
    total = float(sum(np.sum(np.abs(w * g)) for w, g in pairs))
    return float(np.log(total)) if total > 0 else -np.inf


def flow_depth(flow: SynapticFlow) -> float:
    """Returns the synaptic flow as a multiple of the response R.

    That is the mean number of weights on a path from an input to an output,
    over the paths of a network without biases in proportion to their flow.
    """
    if not flow.response > 0:
        return 0.0
    return float(np.exp(synflow(flow) - np.log(flow.response)))


def _ones(x: Any) -> np.ndarray:
    return np.ones((1, *x.shape[1:]), x.dtype)


def _is_float(variable: Any) -> bool:
    return bool(keras.backend.is_float_dtype(variable.dtype))


def _absolute(variable: Any) -> Any:
    array = np.abs(_to_array(variable.value))
    return ops.convert_to_tensor(array, dtype="float64")


def _to_array(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor)).astype(np.float64)
