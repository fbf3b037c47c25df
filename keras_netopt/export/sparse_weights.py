"""Says what `sparse=True` saves."""

import keras
import numpy as np


def explain_sparse_saving(model: keras.Model, is_smaller: bool) -> list[str]:
    """Returns a warning if the zeros of a model are too few for a sparse file.

    `is_smaller` tells whether the sparse file is smaller than the plain one.
    """
    share = _zero_share(model)
    if not is_smaller:
        return [
            f"`sparse=True` does not make this file smaller ({share:.0%} "
            "of its kernels are zeros); the plain file was written. Prune "
            "the model first."
        ]
    if share < 0.5:
        return [
            f"`sparse=True` saves little below 50 % zeros ({share:.0%} "
            "here). Prune further, or quantize."
        ]
    return []


def _zero_share(model: keras.Model) -> float:
    """The share of zeros in all weights with at least two axes."""
    kernels = [v for v in model.weights if len(v.shape) > 1]
    arrays = [v.numpy() for v in kernels]
    total = sum(array.size for array in arrays)
    nonzero = sum(int(np.count_nonzero(array)) for array in arrays)
    return 1 - nonzero / total if total else 0.0
