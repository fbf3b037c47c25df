"""The loss of a model with some of its weights set to zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training.backend import without_gradients
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.sample_loss import sample_loss
from keras_netopt.training.stateless_forward import compile_function


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples on which candidates are compared.

    Args:
        x: Inputs.
        y: Targets.
        weight: Weights of the samples, or `None`.
        count: Number of samples.
    """

    x: Any
    y: Any
    weight: np.ndarray | None
    count: int

    @classmethod
    def collect(cls, data: Any, count: int) -> "Samples":
        """Takes the first batches of a data set, or samples of arrays."""
        found = list(iterate_batches(data, batch_size=count, samples=count))
        joined = keras.tree.map_structure(_join(count), *found)
        x, y, weight = joined
        return cls(x, y, weight, len(keras.tree.flatten(x)[0]))


class MaskedLoss:
    """Computes the loss of a model for many masks, compiled once.

    The variables of the model are never written. Inference mode; without the
    losses of regularizers.

    Args:
        model: A built and compiled model.
        variables: The variables that have masks.
        samples: The samples.
    """

    def __init__(
        self, model: keras.Model, variables: Sequence[Any], samples: Samples
    ) -> None:
        self._model = model
        self._variables = list(variables)
        masked = {id(v) for v in self._variables}
        # JAX would fix values that are no arguments when it compiles.
        is_jax = keras.backend.backend() == "jax"
        self._others = [
            v for v in model.variables if is_jax and id(v) not in masked
        ]
        parts = (samples.x, samples.y, samples.weight)
        self._batch = keras.tree.map_structure(_to_tensor, parts)
        self._compiled = compile_function(self._run)
        with without_gradients(), keras.StatelessScope():
            # The loss is built by its first call.
            self._compute(*self._batch)

    def __call__(self, masks: Sequence[np.ndarray]) -> float:
        """Returns the loss with masks, one boolean array per variable."""
        tensors = [ops.convert_to_tensor(mask) for mask in masks]
        values, others = (
            [ops.convert_to_tensor(v) for v in part]
            for part in (self._variables, self._others)
        )
        with without_gradients():
            found = self._compiled(tensors, values, others, *self._batch)
        return float(ops.convert_to_numpy(found))

    def _run(
        self, masks: Any, values: Any, others: Any, x: Any, y: Any, weight: Any
    ) -> Any:
        masked = [
            ops.where(mask, value, ops.zeros_like(value))
            for mask, value in zip(masks, values, strict=True)
        ]
        mapping = [
            *zip(self._variables, masked, strict=True),
            *zip(self._others, others, strict=True),
        ]
        with keras.StatelessScope(mapping):
            return self._compute(x, y, weight)

    def _compute(self, x: Any, y: Any, weight: Any) -> Any:
        model: Any = self._model
        losses = sample_loss(model, y, model(x, training=False))
        losses = ops.cast(losses, "float32")
        if weight is not None:
            losses = losses * ops.cast(weight, "float32")
        return ops.mean(losses)


def _join(count: int) -> Any:
    def join(*parts: Any) -> Any:
        if parts[0] is None:
            return None
        return np.concatenate(parts)[:count]

    return join


def _to_tensor(value: Any) -> Any:
    return None if value is None else ops.convert_to_tensor(value)
