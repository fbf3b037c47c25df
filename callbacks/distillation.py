"""Distillation: the student learns from a teacher while `fit` runs."""

from typing import Any

import keras

from keras_netopt.checks import (
    check_bool,
    check_choice,
    check_positive,
    check_probability,
)
from keras_netopt.depth.exits.fingerprint import weights_fingerprint
from keras_netopt.distillation.distillation_report import DistillationReport
from keras_netopt.distillation.distillation_session import (
    DistillationSession,
    DistillationSettings,
)
from keras_netopt.distillation.output_pairs import Choice
from keras_netopt.distillation.teacher_loss import KINDS
from keras_netopt.graph.check_model import check_model
from keras_netopt.serialization import export_class
from keras_netopt.training import (
    CheckpointState,
    NoEffectWarning,
    ResumableCallback,
)
from keras_netopt.training.order import LOGGERS
from keras_netopt.training.own_train_step import calls_compute_loss


@export_class
class Distillation(ResumableCallback):
    """Knowledge distillation: the model in `fit` learns from a teacher.

    The loss of each training step becomes `(1 - weight)` times the compiled
    loss plus `weight` times the divergence of the model's outputs from those
    of the teacher. Softmax and sigmoid outputs are compared at a temperature,
    on both sides, times its square; other outputs by their squared
    difference. Regularizers keep their strength. Validation, `evaluate` and
    `val_loss` stay those of the compiled loss.

    The student is the model in `fit`; it is not wrapped. `Pruning`,
    `ChannelPruning`, `Quantization`, `Growing` and curricula may be listed in
    the same `fit`, in any order. On a model of `depth.add_exits` each exit
    learns from the teacher. The teacher runs in inference mode on the batches
    of the student; its weights and statistics never change, and it is neither
    saved nor counted with the student. It costs one forward pass per step.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> def build(width):
    ...     layers = [keras.Input((8,)), keras.layers.Dense(width, "relu")]
    ...     return keras.Sequential([*layers, keras.layers.Dense(3)])
    >>> teacher, student = build(64), build(4)
    >>> student.compile(
    ...     "adam", keras.losses.SparseCategoricalCrossentropy(True))
    >>> x, y = np.random.normal(size=(64, 8)), np.arange(64) % 3
    >>> history = student.fit(
    ...     x, y, verbose=0,
    ...     callbacks=[netopt.callbacks.Distillation(teacher)])
    >>> sorted(history.history)
    ['distillation_loss', 'loss', 'student_loss']

    Args:
        teacher: A built model, trained on the same task. Its inputs have the
            names of the student's, or their order, and the same shapes. It
            need not be compiled.
        temperature: Temperature of softmax and sigmoid outputs, above 0.
            Defaults to `4.0`.
        weight: Share of the distillation loss in the total loss, in [0, 1].
            Defaults to `0.5`.
        student_output: Output of the student that learns: a name, an index,
            or a list of those. Defaults to `None`: every output.
        teacher_output: Output of the teacher for each of them, likewise.
            Defaults to `None`: the outputs of the same names, or the only
            one.
        loss: "softmax", "sigmoid" or "mse"; "auto" reads it from the last
            activation and the compiled loss. Defaults to `"auto"`.
        from_logits: Whether the student's outputs are logits rather than
            probabilities. Defaults to `None`: read from the last activation
            and the compiled loss.
        teacher_from_logits: The same for the teacher. Defaults to `None`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; before
            the first step, if inputs or outputs of the models do not fit, it
            is not clear what an output holds, the models share weights, or
            the `train_step` of the model does not call `compute_loss`.

    Reference:
        Hinton, Vinyals and Dean, 2015, https://arxiv.org/abs/1503.02531
    """

    should_precede = LOGGERS
    data_args = ("teacher",)
    required_data = ("teacher",)
    log_keys = {
        "student_loss": "mean of the model's own loss over the epoch's "
        "training samples",
        "distillation_loss": "mean of the divergence from the teacher over "
        "the epoch's training samples, with the square of the temperature",
    }

    def __init__(
        self,
        teacher: keras.Model,
        *,
        temperature: float = 4.0,
        weight: float = 0.5,
        student_output: Choice = None,
        teacher_output: Choice = None,
        loss: str = "auto",
        from_logits: bool | None = None,
        teacher_from_logits: bool | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(teacher, keras.Model):
            raise TypeError(
                "Argument `teacher` must be a Keras model. "
                f"Received: teacher={teacher!r} of type "
                f"{type(teacher).__name__}"
            )
        check_positive(temperature, "temperature")
        check_probability(weight, "weight")
        check_choice(loss, "loss", ("auto", *KINDS))
        for name, flag in (
            ("from_logits", from_logits),
            ("teacher_from_logits", teacher_from_logits),
        ):
            if flag is not None:
                check_bool(flag, name)
        for name, choice in (
            ("student_output", student_output),
            ("teacher_output", teacher_output),
        ):
            _check_choice_of_outputs(choice, name)
        self.teacher = teacher
        self.temperature = temperature
        self.weight = weight
        self.student_output = student_output
        self.teacher_output = teacher_output
        self.loss = loss
        self.from_logits = from_logits
        self.teacher_from_logits = teacher_from_logits
        self._session: DistillationSession | None = None
        self._fingerprint: str | None = None
        self.reset()

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        if self._session is not None:
            self._session.hook.remove()
        self._session = None
        self._logs: dict[str, float] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras. Also ends what a failed `fit` left."""
        if self._session is not None:
            self._session.hook.remove()
        self._fingerprint = None
        super().on_train_begin(logs)
        if not self._attached:
            self._attach()  # Before the first step, also without weights.

    def on_model_ready(self, model: keras.Model) -> None:
        """Compares the models and adds the distillation loss."""
        check_model(self.teacher)
        if not calls_compute_loss(model):
            raise ValueError(
                "Distillation needs a model whose `train_step` calls "
                "`self.compute_loss(x=x, y=y, y_pred=y_pred, ...)`. "
                f"Received: {type(model).__name__}.train_step, which does not"
            )
        for other in self.other_callbacks(model):
            if isinstance(other, Distillation):
                raise ValueError(
                    "Distillation must be used once per `fit`. "
                    f"Received: another one beside {self!r}"
                )
        settings = DistillationSettings(
            self.temperature,
            self.weight,
            self.student_output,
            self.teacher_output,
            self.loss,
            self.from_logits,
            self.teacher_from_logits,
        )
        self._session = DistillationSession.of(model, self.teacher, settings)
        if self.weight == 0:
            self.warn(
                NoEffectWarning,
                "the model does not learn from the teacher. Give a `weight` "
                "above 0.",
            )
        self._session.install()

    def on_resume(self, model: keras.Model) -> None:
        """Compares the teacher with that of a checkpoint."""
        saved = self.loaded_state()
        if saved is None:
            return
        was = saved[0].get("teacher")
        if was is not None and was != self._find_fingerprint():
            raise ValueError(
                "Argument `teacher` must be the one with which the checkpoint "
                "was saved: its weights differ. "
                f"Received: teacher={self.teacher.name!r}"
            )

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        super().on_epoch_begin(epoch, logs)
        if self._session is not None:
            self._session.means.reset()

    def on_steps(self, before: int, after: int) -> None:
        """Checks after the first step that it used the teacher."""
        if self._session is not None and not self._session.hook.traces:
            self._session.hook.remove()
            raise ValueError(
                "Distillation needs a `train_step` that calls "
                "`self.compute_loss`; the first step did not. Received: "
                f"{type(self.model).__name__}.train_step"
            )

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; reads the mean losses of the epoch."""
        if self._session is not None:
            self._logs = self._session.means.result()
        super().on_epoch_end(epoch, logs)
        self._logs = {}

    def on_fit_end(self, model: keras.Model) -> None:
        """Restores the model's own loss."""
        if self._session is not None:
            self._session.hook.remove()
        # The state would keep the teacher in memory as long as the model.
        CheckpointState.of(model).states.pop(self._state_name, None)

    def progress_logs(self) -> dict[str, float]:
        """Returns the mean losses at the end of an epoch."""
        return self._logs

    def get_state(self) -> dict[str, Any]:
        """Returns a hash of the teacher's weights."""
        return {"teacher": self._find_fingerprint()}

    def report(self) -> DistillationReport:
        """Returns which outputs are compared, and how.

        Raises:
            ValueError: If the callback was not passed to `fit` yet.
        """
        if self._session is None:
            raise self.report_error("compared outputs")
        return self._session.report()

    def _find_fingerprint(self) -> str:
        if self._fingerprint is None:
            self._fingerprint = weights_fingerprint(self.teacher)
        return self._fingerprint


def _check_choice_of_outputs(choice: Any, name: str) -> None:
    parts = choice if isinstance(choice, list | tuple) else [choice]
    if choice is not None and not all(
        isinstance(part, str | int) and not isinstance(part, bool)
        for part in parts
    ):
        raise TypeError(
            f"Argument `{name}` must be the name or the index of an output, "
            f"or a list of those. Received: {name}={choice!r}"
        )
