"""Rows of the contract for Distillation."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import probes, zoo
from contract.callback_setting import Case, Setting, idle_model

from keras_netopt.callbacks import Distillation

COMPONENT = "callbacks.Distillation"


@functools.cache
def make_teacher(shape: tuple[int, ...], favored: int = 0) -> keras.Model:
    """A teacher that prefers one class whatever the input."""
    teacher = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Rescaling(0.1),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(
                zoo.CLASSES, kernel_initializer=keras.initializers.Constant(0.1)
            ),
        ]
    )
    teacher.layers[-1].bias.assign(8.0 * np.eye(zoo.CLASSES)[favored])
    return teacher


def prefers_the_class(before: Any, after: Any, callback: Any) -> bool:
    inputs = getattr(after, "inputs", None)
    shape = tuple(inputs[0].shape[1:]) if inputs else zoo.SHAPES["subclassed"]
    name = next(
        n for n, one in zoo.SHAPES.items() if one == shape and n != "subclassed"
    )
    x = zoo.data(name)[0]

    def share(model: Any) -> float:
        outputs = probes.to_numpy(model(x, training=False))
        return float(np.mean(probes.to_numpy(keras.ops.softmax(outputs))[:, 0]))

    return share(after) > share(before)


def _distill(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: Distillation(
        **{"teacher": make_teacher(case.x.shape[1:]), "weight": 0.9, **changed}
    )


def _no_weight(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [Distillation(idle_model(), weight=0.0)]


SETTINGS = (
    Setting(
        name="Distillation",
        component=COMPONENT,
        arguments=lambda case: {
            "teacher": make_teacher(case.x.shape[1:]),
            "temperature": 2.0,
            "weight": 0.9,
        },
        neutral=lambda case: {
            "teacher": make_teacher(case.x.shape[1:]),
            "weight": 0.0,
        },
        effect=prefers_the_class,
        reference=False,  # Its report has no masks.
    ),
)

IDLE = (_no_weight, "Give a `weight`")

BAD: dict[str, Callable[[Case], Any]] = {
    "teacher": _distill(teacher="teacher.keras"),
    "temperature": _distill(temperature=0.0),
    "weight": _distill(weight=1.5),
    "student_output": _distill(student_output="no_such_output"),
    "teacher_output": _distill(teacher_output=1),
    "loss": _distill(loss="kl"),
    "from_logits": _distill(from_logits="yes"),
    "teacher_from_logits": _distill(teacher_from_logits=2),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "teacher": (
        _distill(),
        lambda case: Distillation(make_teacher((8,), 1), weight=0.9),
    ),
    "student_output": (_distill(), _distill(student_output=1)),
    "teacher_output": (_distill(), _distill(teacher_output=1)),
    "temperature": (_distill(), _distill(temperature=1.0)),
    "weight": (_distill(), _distill(weight=0.5)),
    "loss": (_distill(), _distill(loss="mse")),
    "from_logits": (_distill(), _distill(from_logits=False)),
    "teacher_from_logits": (_distill(), _distill(teacher_from_logits=False)),
}
