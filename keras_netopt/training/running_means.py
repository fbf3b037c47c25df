"""Means over the samples of an epoch, kept inside the compiled step.

Private names of Keras 3.15: `scale_loss_for_distribution`,
`unscale_loss_for_distribution`.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.losses.loss import (
    scale_loss_for_distribution,
    unscale_loss_for_distribution,
)

from keras_netopt.training.backend import sync_variables
from keras_netopt.training.hidden_state import add_hidden_state
from keras_netopt.training.optimizers import variable_scope

_NUMBERS = itertools.count()


class RunningMeans:
    """Means of losses, weighted by the sizes of the batches.

    `state` is a float32 variable: a sum per loss, and the number of samples.
    It is neither in the weights of the model nor in its files. On JAX its
    length differs between objects: `jax.jit` finds a compiled step by the
    method and the shapes of its variables, and would take that of another
    loss.

    Args:
        model: The model whose step computes the losses.
        names: The names of the losses.
    """

    def __init__(self, model: keras.Model, names: Sequence[str]) -> None:
        self._model = model
        self._names = tuple(names)
        spare = next(_NUMBERS) if keras.backend.backend() == "jax" else 0
        with variable_scope(model):
            self.state = keras.Variable(
                np.zeros(len(self._names) + 1 + spare, "float32"),
                trainable=False,
                autocast=False,
                aggregation="mean",
                name="running_means",
            )

    def attach(self) -> Callable[[], None]:
        """Makes the variable part of the step; returns what undoes it."""
        return add_hidden_state(self._model, self)

    def update(self, values: Sequence[Any], size: Any) -> None:
        """Adds the losses of a batch of `size` samples."""
        parts = [
            ops.cast(unscale_loss_for_distribution(value), "float32")
            for value in values
        ]
        size = ops.cast(size, "float32")
        added = ops.stack([*(part * size for part in parts), size])
        spare = self.state.shape[0] - len(parts) - 1
        added = ops.pad(ops.stop_gradient(added), [[0, spare]])
        self.state.assign(self.state + added)

    def reset(self) -> None:
        """Begins a new epoch."""
        sync_variables(self._model)
        self.state.assign(np.zeros(self.state.shape, "float32"))

    def result(self) -> dict[str, float]:
        """Returns the means by name; empty without a batch."""
        sync_variables(self._model)
        held = np.array(ops.convert_to_numpy(self.state), "float64")
        *sums, size = held[: len(self._names) + 1]
        if not size:
            return {}
        return {
            name: float(value / size)
            for name, value in zip(self._names, sums, strict=True)
        }


def scale_for_replicas(loss: Any) -> Any:
    """Divides a loss by the number of replicas, over which Keras sums it."""
    return scale_loss_for_distribution(loss)
