"""Broadcasts sample weights to the shape of the loss."""

from typing import Any

import keras
import numpy as np


def count_loss_axes(y: Any, token_weights: bool | None = None) -> int:
    """Returns the number of axes of the unreduced loss of a batch.

    Keras rejects weights of shape `(batch,)` for a loss per token or pixel.

    Example:

    >>> import numpy as np
    >>> count_loss_axes(np.array([2, 0, 1]))
    1
    >>> count_loss_axes(np.array([[2, 0, 1], [1, 1, 2]]))  # class of each token
    2
    >>> count_loss_axes(np.array([[1, 0, 1], [0, 1, 1]]))  # several labels
    1

    Args:
        y: Targets, or `None`.
        token_weights: `True` for a loss with one value per element of the
            targets, `False` for one value per sample. Defaults to `None`:
            integers above 1 are classes of tokens or pixels, and the loss of
            other targets is reduced over their last axis.

    Returns:
        1 for one value per sample, more for one value per token or pixel.
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
    """Broadcasts weights to the number of axes of the loss.

    Example:

    >>> import numpy as np
    >>> weight = np.array([1.0, 2.0])
    >>> broadcast_weights(weight, None, np.zeros((2, 3)), 2).tolist()
    [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]

    Args:
        weight: Weights of shape `(batch,)`.
        own: Sample or token weights given by the user, multiplied with
            `weight`, or `None`.
        y: Targets of the batch.
        axes: Result of `count_loss_axes`.
    """
    if own is not None:
        shape = (-1, *([1] * (own.ndim - 1)))
        weight = weight.reshape(shape) * own
    if axes > weight.ndim:
        target = np.asarray(y).shape[:axes]
        shape = (*weight.shape, *([1] * (axes - weight.ndim)))
        weight = np.broadcast_to(weight.reshape(shape), target)
    return weight
