"""State of one distillation run: output pairs, losses and the teacher."""

import weakref
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_netopt.distillation.distillation_report import (
    DistillationReport,
    DistillationRow,
)
from keras_netopt.distillation.output_pairs import (
    Choice,
    OutputPair,
    pair_outputs,
)
from keras_netopt.distillation.teacher_call import TeacherCall
from keras_netopt.distillation.teacher_loss import TeacherLoss
from keras_netopt.training.compiled_terms import added_losses, compiled_terms
from keras_netopt.training.loss_hook import LossHook
from keras_netopt.training.running_means import RunningMeans

LOGS = ("student_loss", "distillation_loss")
# Weak on both sides: a callback holds the session, the session its models.
_SESSIONS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class DistillationSettings:
    """Arguments of `callbacks.Distillation` without the teacher."""

    temperature: float
    weight: float
    student_output: Choice
    teacher_output: Choice
    loss: str
    from_logits: bool | None
    teacher_from_logits: bool | None


class DistillationSession:
    """Adds the distillation loss to the training steps of one student.

    Args:
        student: A compiled model.
        teacher: A built model.
        settings: How outputs are compared.

    Raises:
        ValueError: If inputs or outputs of the models do not fit, or it is
            not clear what an output holds.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        settings: DistillationSettings,
    ) -> None:
        self._student = student
        self._settings = settings
        self._teacher = TeacherCall(teacher, student)
        self._pairs = pair_outputs(
            student, teacher, settings.student_output, settings.teacher_output
        )
        self._rows = tuple(map(self._make_row, self._pairs))
        self.hook = LossHook(student, self._change_loss)
        self.means = RunningMeans(student, LOGS)

    @classmethod
    def of(
        cls,
        student: keras.Model,
        teacher: keras.Model,
        settings: DistillationSettings,
    ) -> "DistillationSession":
        """Returns the session of an earlier `fit` call or a new one.

        It is used again, with its compiled step, as long as a callback holds
        it and neither settings nor the outputs have changed.
        """
        new = cls(student, teacher, settings)
        reference = _SESSIONS.get(student)
        held = None if reference is None else reference()
        if held is not None and held.is_like(new):
            return held
        _SESSIONS[student] = weakref.ref(new)
        return new

    def is_like(self, other: "DistillationSession") -> bool:
        """Whether another session computes the same loss."""
        return (
            self._teacher.is_like(other._teacher)
            and self._settings == other._settings
            and self._pairs == other._pairs
        )

    def install(self) -> None:
        """Changes the loss of the training steps from now on."""
        if self._teacher.has_new_weights():
            self.hook.forget()
            self.means = RunningMeans(self._student, LOGS)
        self.hook.install(self.means.attach())

    def report(self) -> DistillationReport:
        """Returns which outputs are compared, and how."""
        one = self._settings
        return DistillationReport(one.temperature, one.weight, self._rows)

    def _change_loss(
        self, x: Any, y_pred: Any, sample_weight: Any, loss: Any
    ) -> Any:
        if x is None or y_pred is None:
            raise ValueError(
                "`train_step` must pass the inputs and the outputs of the "
                "model to `compute_loss`, which `Distillation` gives to the "
                "teacher: `self.compute_loss(x=x, y=y, y_pred=y_pred, ...)`. "
                f"Received: x={x!r}, y_pred={y_pred!r}"
            )
        outputs = keras.tree.flatten(y_pred)
        taught = self._teacher(x)
        terms = compiled_terms(self._student, y_pred)
        weights = _spread_weights(sample_weight, y_pred, len(outputs))
        distilled: Any = 0.0
        for pair, row in zip(self._pairs, self._rows, strict=True):
            place = pair.student.index
            student, teacher = outputs[place], taught[pair.teacher.index]
            _check_ranks(student, teacher)
            compare = TeacherLoss(
                row.kind,
                temperature=self._settings.temperature,
                from_logits=row.from_logits,
                teacher_from_logits=row.teacher_from_logits,
                reduction=terms[place].reduction,
            )
            value = compare(teacher, student, weights[place])
            distilled = distilled + terms[place].weight * value
        share = self._settings.weight
        own = ops.cast(loss, "float32")
        # The means wait for other replicas, which add losses to the layers.
        added = added_losses(self._student)
        self.means.update([own, distilled], ops.shape(outputs[0])[0])
        return (1.0 - share) * own + share * (distilled + added)

    def _make_row(self, pair: OutputPair) -> DistillationRow:
        given = self._settings
        kind: str | None = given.loss
        if kind == "auto":
            kind = pair.student.form.own_kind or pair.teacher.form.own_kind
        if kind is None:
            raise ValueError(
                "It is not clear which loss compares output "
                f"{pair.student.name!r} of the student with the teacher: give "
                "`loss`, one of 'softmax', 'sigmoid' and 'mse'. Received: "
                f"loss='auto', last activation "
                f"{pair.student.form.activation!r} without a known loss"
            )
        flags = []
        for name, flag, output in (
            ("from_logits", given.from_logits, pair.student),
            ("teacher_from_logits", given.teacher_from_logits, pair.teacher),
        ):
            if flag is None and kind != "mse":
                flag = output.form.are_logits()
                if flag is None:
                    raise ValueError(
                        f"Argument `{name}` must tell whether output "
                        f"{output.name!r} is logits (`True`) or probabilities "
                        "(`False`): its last activation is "
                        f"{output.form.activation!r}, and its compiled loss "
                        f"has from_logits={output.form.from_logits}. "
                        f"Received: {name}=None"
                    )
            flags.append(bool(flag))
        _check_units(kind, pair)
        return DistillationRow(
            pair.student.name, pair.teacher.name, kind, *flags
        )


def _check_units(kind: str, pair: OutputPair) -> None:
    shape = pair.student.shape or pair.teacher.shape
    if kind == "softmax" and shape is not None and shape[-1] == 1:
        raise ValueError(
            "A softmax needs at least two classes on the last axis. Give "
            "`loss='sigmoid'` or `loss='mse'`. Received: output "
            f"{pair.student.name!r} of shape {shape}"
        )


def _check_ranks(student: Any, teacher: Any) -> None:
    one, other = tuple(student.shape), tuple(teacher.shape)
    if len(one) != len(other) or one[-1] != other[-1]:
        raise ValueError(
            "An output of the student must have the shape of the teacher's. "
            f"Received: student shape {one}, teacher shape {other}"
        )


def _spread_weights(sample_weight: Any, y_pred: Any, count: int) -> list[Any]:
    """Returns the sample weights of each flat output."""
    if sample_weight is None or not keras.tree.is_nested(sample_weight):
        return [sample_weight] * count
    if isinstance(sample_weight, dict) and isinstance(y_pred, dict):
        return [sample_weight.get(name) for name in sorted(y_pred)]
    flat = list(sample_weight)
    if len(flat) == 1:
        return flat * count
    return flat if len(flat) == count else [None] * count
