"""The loss of the value of one action."""

from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_positive
from keras_netopt.serialization import export_class
from keras_netopt.training.loss_arguments import check_loss_arguments


@export_class
class QLoss(keras.losses.Loss):
    """Compares the value of the chosen action with its target by Huber's loss.

    The values of the other actions have no gradient.

    Example:

    >>> import numpy as np
    >>> loss = QLoss(delta=1.0)
    >>> targets = np.array([[1.0, 3.0]])  # Action 1, target 3.
    >>> values = np.array([[7.0, 2.5]], "float32")
    >>> float(loss(targets, values))  # 0.5 * 0.5 ** 2
    0.125

    Args:
        delta: Error up to which the loss is quadratic, above 0; it is linear
            beyond. Defaults to `1.0`.
        reduction: As in every Keras loss. Defaults to
            `"sum_over_batch_size"`.
        name: Name of the loss. Defaults to `"q_loss"`.
        dtype: As in every Keras loss. Defaults to `None`: Keras' float type.

    Raises:
        ValueError: If `delta` is not above 0.

    Reference:
        Mnih et al. 2015, Nature 518 (error clipping).
    """

    def __init__(
        self,
        delta: float = 1.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "q_loss",
        dtype: Any = None,
    ) -> None:
        check_loss_arguments(reduction, name, dtype)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.delta = check_positive(delta, "delta")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each sample.

        Args:
            y_true: Action and target, shape `(batch, 2)`.
            y_pred: Values of all actions, shape `(batch, actions)`.
        """
        action = ops.cast(y_true[:, 0], "int32")
        chosen = ops.one_hot(action, y_pred.shape[-1], dtype=y_pred.dtype)
        error = ops.abs(ops.sum(chosen * y_pred, axis=-1) - y_true[:, 1])
        quadratic = ops.minimum(error, self.delta)
        return 0.5 * quadratic**2 + self.delta * (error - quadratic)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "delta": self.delta}
