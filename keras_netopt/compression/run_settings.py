"""The arguments of `compress`, checked."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.callbacks.distillation import Distillation
from keras_netopt.checks import (
    check_at_least_zero,
    check_integer,
    check_positive,
)
from keras_netopt.compression.judge import Judge
from keras_netopt.compression.target import Target
from keras_netopt.compression.training_data import TrainingData, check_inputs
from keras_netopt.export.exportable_model import prepare_model
from keras_netopt.graph.check_model import check_model
from keras_netopt.training.compiled_clone import (
    clone_compiled,
    initial_learning_rate,
)

SAMPLE = 256  # Training samples that score channels and calibrate files.


@dataclass(frozen=True, eq=False)
class RunSettings:
    """What a run works with.

    Args:
        model: The original model.
        data: The training data.
        judge: Measures the metric of a file.
        target: The limits.
        max_drop: By how much the metric may be worse.
        epochs: Epochs of all stages.
        rate: First learning rate of a stage.
        distillation: Options of `callbacks.Distillation`, or `None`.
        callbacks: Further callbacks of every fit.
        validation_data: As in `fit`.
        seed: Seed of the run.
    """

    model: keras.Model
    data: TrainingData
    judge: Judge
    target: Target
    max_drop: float
    epochs: int
    rate: float
    distillation: Mapping[str, Any] | None
    callbacks: Sequence[Any]
    validation_data: Any
    seed: int

    @classmethod
    def create(
        cls,
        model: Any,
        x: Any,
        y: Any,
        *,
        validation_data: Any,
        target: Any,
        max_drop: float,
        epochs: int,
        batch_size: int,
        sample_weight: Any,
        metric: Any,
        mode: str,
        learning_rate: float | None,
        distillation: Any,
        callbacks: Any,
        seed: int,
    ) -> "RunSettings":
        """Checks the arguments; nothing is trained or written yet."""
        check_model(model)
        if not isinstance(target, Target):
            raise TypeError(
                "Argument `target` must be a `netopt.Target`. "
                f"Received: target={target!r}"
            )
        check_at_least_zero(max_drop, "max_drop")
        check_integer(epochs, "epochs", minimum=1)
        check_integer(batch_size, "batch_size", minimum=1)
        check_integer(seed, "seed")
        if learning_rate is not None:
            check_positive(learning_rate, "learning_rate")
        _check_compiled(model)
        exportable = prepare_model(model)
        judge = Judge.create(validation_data, exportable.names, metric, mode)
        data = TrainingData(x, y, sample_weight, batch_size)
        shapes = {name: one.shape for name, one in exportable.specs.items()}
        check_inputs(data.sample(1)[0], shapes)
        return cls(
            model,
            data,
            judge,
            target,
            float(max_drop),
            epochs,
            learning_rate or _find_rate(model),
            _as_options(distillation, model),
            _as_callbacks(callbacks),
            validation_data,
            seed,
        )

    def check_clone(self) -> None:
        """Raises ValueError if the model cannot be copied."""
        clone_compiled(self.model, self.rate)


def _check_compiled(model: keras.Model) -> None:
    if getattr(model, "compiled", False) and model.optimizer is not None:
        return
    raise ValueError(
        "Argument `model` must be compiled: its optimizer, loss and metrics "
        "train the smaller model. Received: model="
        f"{model.name!r}, which is not. Call `model.compile(...)`."
    )


def _find_rate(model: keras.Model) -> float:
    rate = initial_learning_rate(model.optimizer)
    if rate is None or not math.isfinite(rate) or rate <= 0:
        raise ValueError(
            "Argument `learning_rate` must be given: the optimizer "
            f"{type(model.optimizer).__name__} has no single learning rate "
            f"above 0. Received: learning_rate=None, optimizer's rate {rate}"
        )
    return rate


def _as_options(
    distillation: Any, model: keras.Model
) -> Mapping[str, Any] | None:
    if distillation is None or isinstance(distillation, bool):
        return {} if distillation else None
    if isinstance(distillation, Mapping):
        known = list(inspect.signature(Distillation).parameters)[1:]
        unknown = sorted(set(distillation) - set(known), key=str)
        if unknown:
            raise ValueError(
                "Argument `distillation` must hold arguments of "
                f"`callbacks.Distillation`: {known}. Received: {unknown}"
            )
        Distillation(model, **distillation)  # Checks the values.
        return dict(distillation)
    raise TypeError(
        "Argument `distillation` must be a bool, `None`, or a dict of "
        "arguments of `callbacks.Distillation`, such as "
        "{'temperature': 4.0, 'weight': 0.5}. "
        f"Received: distillation={distillation!r}"
    )


def _as_callbacks(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    if not isinstance(callbacks, list | tuple) or not all(
        isinstance(one, keras.callbacks.Callback) for one in callbacks
    ):
        raise TypeError(
            "Argument `callbacks` must be a list of Keras callbacks. "
            f"Received: callbacks={callbacks!r}"
        )
    return list(callbacks)
