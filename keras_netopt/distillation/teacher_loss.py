"""The distance of a student's outputs from those of its teacher."""

from typing import Any

import keras
from keras import ops

KINDS = ("softmax", "sigmoid", "mse")


class TeacherLoss(keras.losses.Loss):
    """The loss between the outputs of a teacher and of a student.

    "softmax" is the Kullback-Leibler divergence of the student's from the
    teacher's class probabilities along the last axis, "sigmoid" the mean
    divergence of independent probabilities, "mse" the mean squared
    difference. The divergences take both logits divided by the temperature
    and are multiplied by its square, so that their gradients do not shrink
    with it.

    Example:

    >>> import numpy as np
    >>> loss = TeacherLoss("softmax", temperature=2.0)
    >>> logits = np.array([[1.0, 2.0, 3.0]], "float32")
    >>> float(loss(logits, logits))
    0.0

    Args:
        kind: "softmax", "sigmoid" or "mse".
        temperature: Temperature, above 0. Defaults to `1.0`.
        from_logits: Whether the student's outputs are logits; otherwise they
            are probabilities. Defaults to `True`.
        teacher_from_logits: The same for the teacher. Defaults to `True`.
        reduction: As in `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: Name of the loss. Defaults to `"distillation"`.

    Reference:
        Hinton, Vinyals and Dean, 2015, https://arxiv.org/abs/1503.02531
    """

    def __init__(
        self,
        kind: str,
        *,
        temperature: float = 1.0,
        from_logits: bool = True,
        teacher_from_logits: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "distillation",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.kind = kind
        self.temperature = temperature
        self.from_logits = from_logits
        self.teacher_from_logits = teacher_from_logits

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss without the last axis."""
        if self.kind == "mse":
            return ops.mean(ops.square(y_true - y_pred), axis=-1)
        teacher = self._logits(y_true, self.teacher_from_logits)
        student = self._logits(y_pred, self.from_logits)
        if self.kind == "softmax":
            teacher, student = (
                ops.log_softmax(x, axis=-1) for x in (teacher, student)
            )
            gaps = ops.exp(teacher) * (teacher - student)
            return self.temperature**2 * ops.sum(gaps, axis=-1)
        share = ops.sigmoid(teacher)
        gaps = share * (ops.log_sigmoid(teacher) - ops.log_sigmoid(student))
        gaps += (1.0 - share) * (
            ops.log_sigmoid(-teacher) - ops.log_sigmoid(-student)
        )
        return self.temperature**2 * ops.mean(gaps, axis=-1)

    def _logits(self, outputs: Any, are_logits: bool) -> Any:
        if not are_logits:
            least = keras.config.epsilon()
            outputs = ops.clip(outputs, least, 1.0)
            rest = 0.0
            if self.kind == "sigmoid":
                rest = ops.log(ops.clip(1.0 - outputs, least, 1.0))
            outputs = ops.log(outputs) - rest
        return outputs / self.temperature
