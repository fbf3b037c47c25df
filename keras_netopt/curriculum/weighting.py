"""Brings weights into the shape of the loss they multiply."""

from typing import Any

import keras
import numpy as np


def loss_axes(y: Any, token_weights: bool | None = None) -> int:
    """Returns how many axes the loss of a batch has before it is averaged.

    Keras refuses a weight for each sample where the loss has a value for each
    token or pixel.

    Example:

    >>> import numpy as np
    >>> loss_axes(np.array([2, 0, 1]))
    1
    >>> loss_axes(np.array([[2, 0, 1], [1, 1, 2]]))  # class of each token
    2
    >>> loss_axes(np.array([[1, 0, 1], [0, 1, 1]]))  # several labels
    1

    Args:
        y: Targets, or `None`.
        token_weights: `True` for a loss with a value for each number in the
            targets, `False` for one with a value for each sample. Defaults to
            `None`: integers above 1 are classes of tokens or pixels, and the
            last axis of other targets belongs to one value of the loss.

    Returns:
        1 for a value for each sample, more for one for each token or pixel.
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


def spread(
    weight: np.ndarray, own: np.ndarray | None, y: Any, axes: int
) -> np.ndarray:
    """Returns weights with as many axes as the loss.

    Example:

    >>> import numpy as np
    >>> spread(np.array([1.0, 2.0]), None, np.zeros((2, 3)), 2).tolist()
    [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]

    Args:
        weight: Weight of each sample, of shape `(batch,)`.
        own: The user's weights of samples or tokens, which multiply it, or
            `None`.
        y: Targets of the batch.
        axes: What `loss_axes` says.
    """
    if own is not None:
        shape = (-1, *([1] * (own.ndim - 1)))
        weight = weight.reshape(shape) * own
    if axes > weight.ndim:
        target = np.asarray(y).shape[:axes]
        shape = (*weight.shape, *([1] * (axes - weight.ndim)))
        weight = np.broadcast_to(weight.reshape(shape), target)
    return weight
