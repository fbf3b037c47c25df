"""Distillation of an active column into a knowledge base."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.continual.likelihood import find_likelihoods
from keras_netopt.distillation.teacher_loss import TeacherLoss
from keras_netopt.training.present_flags import compile_for_flags


def distil(
    teacher: keras.Model,
    student: keras.Model,
    x: Any,
    *,
    release: Callable[[], None],
    temperature: float,
    optimizer: Any,
    epochs: int,
    batch_size: int,
    callbacks: Sequence[Any],
    verbose: Any,
) -> Any:
    """Trains a model on the outputs of another one and returns the history.

    The outputs of `teacher` are computed once; then `release()` makes the
    weights of `student` trainable, which the teacher holds frozen, and it is
    compiled anew.
    """
    losses = [
        TeacherLoss(
            one.kind,
            temperature=temperature,
            from_logits=one.from_logits,
            teacher_from_logits=one.from_logits,
        )
        for one in find_likelihoods(teacher, "auto", None)
    ]
    compile_for_flags(teacher, "predict_function")
    taught = teacher.predict(x, batch_size=batch_size, verbose=0)
    if not all(np.isfinite(one).all() for one in keras.tree.flatten(taught)):
        raise ValueError(
            "The model of the task must have finite outputs on `x` before it "
            f"is compressed. Received: model {teacher.name!r} with outputs "
            "that are NaN or infinite. Train it with a lower learning rate, "
            "and look for NaN in the data."
        )
    release()
    student.compile(
        optimizer=_renew(optimizer),
        loss=keras.tree.pack_sequence_as(taught, losses),
    )
    return student.fit(
        x,
        taught,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=list(callbacks),
        verbose=verbose,
    )


def check_arrays(x: Any) -> None:
    """Refuses inputs that cannot be read twice in the same order."""
    flat = keras.tree.flatten(x)
    if not flat or not all(
        hasattr(one, "shape") and hasattr(one, "__getitem__") for one in flat
    ):
        raise TypeError(
            "Argument `x` must be an array, or a list or dictionary of "
            "arrays, because the active column computes its outputs on them "
            f"once. Received: x of type {type(x).__name__}"
        )


def _renew(optimizer: Any) -> Any:
    """Returns an optimizer with the same settings and no state."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).from_config(optimizer.get_config())
    return keras.optimizers.get(optimizer)
