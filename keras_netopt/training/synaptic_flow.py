"""Synaptic flow: how much signal all paths of a network carry."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.layers import walk_layers
from keras_netopt.training.backend_functions import linear_outputs
from keras_netopt.training.double_precision import double_precision
from keras_netopt.training.gradients import differentiate_with_value
from keras_netopt.training.normalization_modes import without_normalization
from keras_netopt.training.override_method import override_method


@dataclass(frozen=True)
class SynapticFlow:
    """The response of a network of absolute weights to inputs of ones.

    Args:
        response: Sum of the outputs, R.
        weights: Absolute values of the variables, in float64.
        gradients: Their gradients dR/dw, zeros if R does not depend on one.
    """

    response: float
    weights: list[np.ndarray]
    gradients: list[np.ndarray]

    @property
    def is_finite(self) -> bool:
        """Whether no number exceeds the range of float64."""
        numbers = [np.float64(self.response), *self.gradients]
        return all(bool(np.isfinite(one).all()) for one in numbers)


Measure = Callable[..., SynapticFlow]


@contextlib.contextmanager
def open_flow(
    model: keras.Model, x: Any, variables: Sequence[Any]
) -> Iterator[Measure]:
    """Prepares a model for measurements of its synaptic flow, in float64.

    All weights are replaced by their absolute values, the normalization
    layers of Keras by the identity, and a softmax or sigmoid at the output
    is left out. An `Embedding` returns the sum of its rows, its response to
    one-hot inputs of ones. Variables are not written.

    Args:
        model: A built model.
        x: Inputs, of which only structure, shapes and dtypes count.
        variables: The variables whose gradients are measured.

    Yields:
        A function of the masks of the variables (`None`: no masks) and of a
        factor of all weights (1 by default), which returns the flow.
    """
    ones = keras.tree.map_structure(_ones, x)
    ids = {id(v) for v in variables}
    fixed = [v for v in model.variables if id(v) not in ids and _is_float(v)]
    with (
        _sums_of_rows(model),
        linear_outputs(model, ones),
        without_normalization(model),
        double_precision(model),
    ):
        weights = [_absolute(v) for v in variables]
        others = [_absolute(v) for v in fixed]

        def measure(
            masks: Sequence[np.ndarray] | None = None, factor: float = 1.0
        ) -> SynapticFlow:
            values = [factor * weight for weight in weights]
            if masks is not None:
                values = [w * m for w, m in zip(values, masks, strict=True)]
            rest = [_to_tensor(factor * other) for other in others]

            def respond(tensors: list[Any]) -> Any:
                scope = keras.StatelessScope()
                # The constructor of the scope would cast to float32.
                for v, value in zip(
                    [*variables, *fixed], [*tensors, *rest], strict=True
                ):
                    scope.state_mapping[id(v)] = value
                with scope:
                    outputs = keras.tree.flatten(model(ones, training=False))
                    sums = [ops.sum(ops.cast(y, "float64")) for y in outputs]
                    return sum(sums)

            response, found = differentiate_with_value(
                respond, [_to_tensor(value) for value in values]
            )
            gradients = [
                np.zeros_like(value) if one is None else _to_array(one)
                for value, one in zip(values, found, strict=True)
            ]
            return SynapticFlow(float(_to_array(response)), values, gradients)

        yield measure


@contextlib.contextmanager
def _sums_of_rows(model: keras.Model) -> Iterator[None]:
    """Lets embeddings return the sum of their rows for every index."""

    def sum_rows(layer: Any) -> Callable[[Any], Any]:
        def call(inputs: Any) -> Any:
            row = ops.sum(ops.convert_to_tensor(layer.embeddings), axis=0)
            return ops.broadcast_to(row, (*ops.shape(inputs), *row.shape))

        return call

    with ExitStack() as undo:
        for layer in walk_layers(model):
            if type(layer) is keras.layers.Embedding:
                undo.callback(override_method(layer, "call", sum_rows(layer)))
        yield


def _ones(x: Any) -> np.ndarray:
    return np.ones((1, *x.shape[1:]), keras.backend.standardize_dtype(x.dtype))


def _is_float(variable: Any) -> bool:
    return bool(keras.backend.is_float_dtype(variable.dtype))


def _absolute(variable: Any) -> np.ndarray:
    return np.abs(_to_array(variable.value))


def _to_tensor(array: np.ndarray) -> Any:
    return ops.convert_to_tensor(array, dtype="float64")


def _to_array(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor)).astype(np.float64)
