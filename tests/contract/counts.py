"""Counts of what `Pruning` prunes by default."""

from typing import Any

import keras
import numpy as np

from keras_netopt import sparsity


def kernels(model: keras.Model) -> list[np.ndarray]:
    """The weights that are pruned by default, as matrices."""
    return matrices(model)


def matrices(model: keras.Model, keys: Any = None) -> list[np.ndarray]:
    return [
        target.view.to_2d(np.array(keras.ops.convert_to_numpy(target.variable)))
        for target in sparsity.select(model).targets
        if keys is None or target.key in keys
    ]


def zeros(model: keras.Model) -> int:
    return sum(int((kernel == 0).sum()) for kernel in kernels(model))
