"""The data and the head of one task of a transfer matrix."""

from dataclasses import dataclass
from typing import Any

from keras_netopt.progressive.transfer_arms import renew_head
from keras_netopt.progressive.transfer_training import check_data


@dataclass(frozen=True, eq=False)
class TaskData:
    """Data and head of one task.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> x, y = np.zeros((8, 4)), np.arange(8) % 2
    >>> task = TaskData(keras.layers.Dense(2), x, y, validation_data=(x, y))
    >>> task.x.shape
    (8, 4)

    Args:
        head: A layer, which is copied for each model, or a function from the
            last hidden tensor to the outputs that makes new layers.
        x: Inputs, as in `fit`; no generator.
        y: Targets, if `x` is arrays. Defaults to `None`.
        validation_data: As in `fit`.

    Raises:
        TypeError: If `head` cannot be called.
        ValueError: If the data cannot be read several times.
    """

    head: Any
    x: Any
    y: Any = None
    validation_data: Any = None

    def __post_init__(self) -> None:
        renew_head(self.head)
        check_data(self.x, self.y, self.validation_data)
