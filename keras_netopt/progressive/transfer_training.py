"""Trains one model of a comparison: compiled alike, with the same budget."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.metric_direction import (
    check_direction,
    metric_sign,
    resolve_monitor,
)
from keras_netopt.training.compiled_clone import compile_like
from keras_netopt.training.present_flags import compile_for_flags


@dataclass(eq=False)
class TransferTraining:
    """Budget, compile arguments and monitored quantity of all arms.

    Args:
        epochs: Epochs of each training.
        batch_size: Samples per batch, or `None` for a dataset.
        template: A compiled model, which is not trained. Defaults to `None`.
        monitor: Key of the logs, or `None` until the first training.
        mode: "auto", "max" or "min". Defaults to `"auto"`.
        counts: Parameters and trainable parameters of the models by arm.
    """

    epochs: int
    batch_size: int | None
    template: Any = None
    monitor: str | None = None
    mode: str = "auto"
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_integer(self.epochs, "epochs", minimum=1)
        if self.batch_size is not None:
            check_integer(self.batch_size, "batch_size", minimum=1)
        if self.monitor is not None or self.mode != "auto":
            check_direction(self.monitor or "loss", self.mode)

    def compile_template(
        self, model: Any, optimizer: Any, loss: Any, metrics: Any, source: Any
    ) -> None:
        """Compiles a model after which all others are compiled.

        Without a loss it is compiled like `source`.

        Raises:
            ValueError: If there is no loss and `source` is not compiled, or
                there is an optimizer or a metric without a loss.
        """
        if loss is not None:
            model.compile(optimizer or "adam", loss, metrics=metrics)
        elif source is None or not getattr(source, "compiled", False):
            raise ValueError(
                "Argument `loss` must be given, unless the last task was "
                "compiled in this process. Received: loss=None"
            )
        elif optimizer is not None or metrics is not None:
            raise ValueError(
                "Argument `loss` must be given with `optimizer` and "
                "`metrics`; without all three they are those of the last "
                "task. Received: loss=None"
            )
        else:
            compile_like(model, source)
        self.template = model

    def check_logs(self, model: Any, data: Any) -> None:
        """Evaluates one batch, so that misfits show before any training.

        Args:
            model: A model, compiled if it is the template.
            data: Validation data of its task.

        Raises:
            ValueError: If `monitor` is not in the logs.
        """
        if model is not self.template:
            compile_like(model, self.template)
        given = data if isinstance(data, tuple | list) else (data,)
        compile_for_flags(model, "test_function")
        logs = model.evaluate(
            *given[:2],
            batch_size=self.batch_size,
            sample_weight=given[2] if len(given) > 2 else None,
            steps=1,
            verbose=0,
            return_dict=True,
        )
        model.reset_metrics()
        if self.monitor is not None:
            keys = [*logs, *(f"val_{name}" for name in logs)]
            resolve_monitor(self.monitor, dict.fromkeys(keys))

    def train(
        self,
        name: str,
        model: Any,
        x: Any,
        y: Any,
        *,
        validation_data: Any,
        seed: int,
    ) -> list[float]:
        """Trains a model and returns its curve.

        Sets Keras' global seed before `fit`, so that all arms of a seed see
        the samples in the same order.
        """
        compile_like(model, self.template)
        sizes = [int(np.prod(v.shape)) for v in model.trainable_variables]
        self.counts[name] = (model.count_params(), sum(sizes))
        keras.utils.set_random_seed(seed)
        logs = model.fit(
            x,
            y,
            batch_size=self.batch_size,
            epochs=self.epochs,
            validation_data=validation_data,
            verbose=0,
        ).history
        self.monitor = resolve_monitor(self.monitor, logs)
        if self.mode == "auto":
            check_direction(self.monitor, self.mode)
            self.mode = "min" if metric_sign(self.monitor) < 0 else "max"
        return [float(value) for value in logs[self.monitor]]


def check_floor(curves: list[list[float]], floor: float, name: str) -> None:
    """Refuses a floor above the first baseline; later runs may diverge.

    Args:
        curves: One curve from scratch per seed so far.
        floor: As in `transfer_score`.
        name: Name of the task, for the error.

    Raises:
        ValueError: If there is one curve, whose mean is below the floor.
    """
    height = float(np.mean(curves[0]))
    if len(curves) == 1 and height < floor:
        raise ValueError(
            "Argument `floor` must be below the curves from scratch, because "
            "scores are ratios of heights above it. Received: "
            f"floor={floor:g}, and task {name!r} has a mean of {height:.4g}. "
            "Set the value of a model that has learned nothing."
        )


def check_data(x: Any, y: Any, validation_data: Any) -> None:
    """Refuses data that can be read only once, and missing validation data.

    Raises:
        ValueError: If `x` is an iterator, `y` does not fit it or
            `validation_data` is `None`.
    """
    if x is None or isinstance(x, Iterator | str | int | float):
        raise ValueError(
            "Argument `x` must be arrays or a dataset that can be read "
            "several times, because each arm is trained on it. "
            f"Received: x={x!r}"
        )
    flat = [] if y is None else keras.tree.flatten((x, y))
    if len({len(one) for one in flat if np.ndim(one)}) > 1:
        raise ValueError(
            "Argument `y` must hold one target per sample of `x`. "
            f"Received: y={np.shape(y)} values"
        )
    if validation_data is None or isinstance(
        validation_data, Iterator | str | int | float
    ):
        raise ValueError(
            "Argument `validation_data` must be given, as in `fit` and "
            "readable several times, because learning curves are compared on "
            f"it. Received: validation_data={validation_data!r}"
        )
