"""Counts the zeros of all kernels of a model, as its layers use them."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.cost.packed_weights import unpack_weight
from keras_netopt.sparsity.prunability import is_kernel
from keras_netopt.sparsity.weight_matches import list_weights
from keras_netopt.training.constraint import MaskConstraint
from keras_netopt.training.sparse_adapter import SparseAdapter

# A kernel with more zeros was pruned; half precision rounds a few to zero.
LORA_ZEROS = 0.01


@dataclass(frozen=True)
class KernelZeros:
    """Zeros and weights of all kernels of a model, apart from some.

    Example:

    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(3, kernel_initializer="zeros"),
    ...     keras.layers.Dense(2),
    ... ])
    >>> found = KernelZeros.of(model)
    >>> found.zeros, found.weights
    (12, 18)

    Args:
        zeros: Number of weights that are exactly zero.
        weights: Number of all weights.
    """

    zeros: int
    weights: int

    @classmethod
    def of(
        cls, model: keras.Model, without: tuple[str, ...] = ()
    ) -> "KernelZeros":
        """Reads the weights of a model and counts.

        Args:
            model: A model whose weights can be read.
            without: Keys of kernels that are left out. Defaults to `()`.

        Returns:
            The counts.
        """
        zeros = weights = 0
        for key, variable, layer in list_weights(model):
            if key not in without and is_kernel(variable, layer):
                values = used_value(variable, layer)
                zeros += values.size - int(np.count_nonzero(values))
                weights += values.size
        return cls(int(zeros), int(weights))

    def share(self, zeros: int = 0, weights: int = 0) -> float:
        """Returns the share of zeros, with further kernels added."""
        return (self.zeros + zeros) / max(1, self.weights + weights)


def kernels_filled_by_lora(model: keras.Model) -> list[str]:
    """Lists the kernels with zeros to which a layer adds a LoRA product."""
    return [
        key
        for key, variable, layer in list_weights(model)
        if _is_lora_base(variable, layer)
        and not isinstance(layer, SparseAdapter)
        and _is_pruned(variable)
    ]


def unmasked_kernels_with_zeros(model: keras.Model) -> list[str]:
    """Lists the trainable kernels whose zeros no mask keeps."""
    return [
        key
        for key, variable, layer in list_weights(model)
        if variable.trainable
        and is_kernel(variable, layer)
        and not isinstance(variable.constraint, MaskConstraint)
        and _is_pruned(variable)
    ]


def _is_pruned(variable: keras.Variable) -> bool:
    values = np.asarray(ops.convert_to_numpy(variable.value))
    return bool(np.count_nonzero(values) < (1 - LORA_ZEROS) * values.size)


def _is_lora_base(variable: keras.Variable, layer: Any) -> bool:
    enabled = getattr(layer, "lora_enabled", False)
    return enabled and variable.name in ("kernel", "embeddings")


def used_value(variable: keras.Variable, layer: keras.Layer) -> np.ndarray:
    """Returns a weight as the layer multiplies with it, LoRA product added.

    A kernel in which Keras has packed two weights per byte is unpacked.
    """
    unpacked = unpack_weight(variable, layer)
    if unpacked is not None:
        return unpacked
    value: Any = variable.value
    if _is_lora_base(variable, layer):
        merged: Any = getattr(layer, variable.name)
        value = merged if merged.shape == variable.shape else value
    return np.asarray(ops.convert_to_numpy(value))
