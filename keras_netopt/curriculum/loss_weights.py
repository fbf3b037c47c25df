"""Broadcasts sample weights to the shape of the loss."""

from typing import Any

import keras
import numpy as np


def count_loss_axes(y: Any, token_weights: bool | None = None) -> int:
    """Returns the number of axes of the unreduced loss of a batch.

    The loss has one axis for one value per sample, more for one value per token
    or pixel; Keras rejects weights of shape `(batch,)` for the latter. Without
    `token_weights`, integers above 1 are classes of tokens or pixels, and the
    loss of other targets is reduced over their last axis.

    Example:

    >>> import numpy as np
    >>> count_loss_axes(np.array([[2, 0, 1], [1, 1, 2]]))  # class of each token
    2
    >>> count_loss_axes(np.array([[1, 0, 1], [0, 1, 1]]))  # several labels
    1
    """
    if token_weights is False or y is None or keras.tree.is_nested(y):
        return 1
    array = np.asarray(y)
    if array.ndim < 2:
        return 1
    if token_weights:
        return array.ndim
    wide = array.shape[-1] > 1 and array.dtype.kind in "iu"
    return array.ndim if wide and array.max() > 1 else array.ndim - 1


def broadcast_weights(
    weight: np.ndarray, own: np.ndarray | None, y: Any, axes: int
) -> np.ndarray:
    """Broadcasts weights of shape `(batch,)` to the number of axes of the loss.

    `own` are the sample or token weights of the user; they are multiplied with
    `weight`.

    Example:

    >>> import numpy as np
    >>> weight = np.array([1.0, 2.0])
    >>> broadcast_weights(weight, None, np.zeros((2, 3)), 2).tolist()
    [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    """
    if own is not None:
        shape = (-1, *([1] * (own.ndim - 1)))
        weight = weight.reshape(shape) * own
    if axes > weight.ndim:
        target = np.asarray(y).shape[:axes]
        shape = (*weight.shape, *([1] * (axes - weight.ndim)))
        weight = np.broadcast_to(weight.reshape(shape), target)
    return weight
