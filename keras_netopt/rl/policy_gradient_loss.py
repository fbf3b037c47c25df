"""The loss of a policy, whose gradient is the policy gradient."""

from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_at_least_zero
from keras_netopt.serialization import export_class
from keras_netopt.training.loss_arguments import check_loss_arguments


@export_class
class PolicyGradientLoss(keras.losses.Loss):
    """Computes `-advantage * log(probability of the action) - bonus`.

    Its gradient is the policy gradient: actions with a positive advantage
    become more probable. The bonus is the entropy of the policy times a
    coefficient.

    Example:

    >>> import numpy as np
    >>> loss = PolicyGradientLoss()
    >>> targets = np.array([[1.0, 2.0]])  # Action 1, advantage 2.
    >>> logits = np.zeros((1, 2), "float32")
    >>> round(float(loss(targets, logits)), 4)  # 2 * ln 2
    1.3863

    Args:
        entropy_coefficient: Factor of the entropy, at least 0. Defaults to
            `0.0`.
        reduction: As in every Keras loss. Defaults to
            `"mean_with_sample_weight"`: samples of weight 0 do not count.
        name: Name of the loss. Defaults to `"policy_gradient_loss"`.
        dtype: As in every Keras loss. Defaults to `None`: Keras' float type.

    Raises:
        ValueError: If the coefficient is negative.

    Reference:
        Williams 1992, Machine Learning 8 (REINFORCE); Mnih et al. 2016, arXiv
        1602.01783 (entropy).
    """

    def __init__(
        self,
        entropy_coefficient: float = 0.0,
        *,
        reduction: str | None = "mean_with_sample_weight",
        name: str = "policy_gradient_loss",
        dtype: Any = None,
    ) -> None:
        check_loss_arguments(reduction, name, dtype)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.entropy_coefficient = check_at_least_zero(
            entropy_coefficient, "entropy_coefficient"
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each sample.

        Args:
            y_true: Action and advantage, shape `(batch, 2)`.
            y_pred: Logits, shape `(batch, actions)`.
        """
        log_probabilities = ops.log_softmax(y_pred, axis=-1)
        action = ops.cast(y_true[:, 0], "int32")
        chosen = ops.one_hot(
            action, y_pred.shape[-1], dtype=log_probabilities.dtype
        )
        log_chosen = ops.sum(chosen * log_probabilities, axis=-1)
        entropy = -ops.sum(
            ops.exp(log_probabilities) * log_probabilities, axis=-1
        )
        return -y_true[:, 1] * log_chosen - self.entropy_coefficient * entropy

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {
            **super().get_config(),
            "entropy_coefficient": self.entropy_coefficient,
        }
