"""Scores of all tasks after each one."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.progressive.continual_metrics import (
    ContinualMetrics,
    continual_metrics,
)
from keras_netopt.training.present_flags import compile_for_flags


def evaluate_tasks(
    models: Mapping[str, keras.Model],
    data: Mapping[str, Any],
    metric: str | None,
    batch_size: int,
) -> dict[str, float]:
    """Returns a metric of each task's model on its data."""
    found = {}
    for name, model in models.items():
        if name not in data:
            raise ValueError(
                "Argument `data` must hold `(x, y)` of every compressed task, "
                f"{list(models)}. Received: tasks {list(data)}"
            )
        if not model.compiled:
            raise ValueError(
                f"The model of task {name!r} must be compiled with a loss and "
                f"metrics: `pc[{name!r}].compile(...)`. Received: a model that "
                "is not compiled"
            )
        x, y = data[name]
        compile_for_flags(model, "test_function")
        values = model.evaluate(
            x, y, batch_size=batch_size, verbose=0, return_dict=True
        )
        found[name] = float(values[choose_metric(values, metric)])
    return found


def report_scores(scores: Sequence[Mapping[str, float]]) -> ContinualMetrics:
    """Returns forgetting and transfer of a row of scores after each task."""
    count = len(scores)
    if not count or any(len(row) != i + 1 for i, row in enumerate(scores)):
        raise ValueError(
            "There must be an `evaluate` after each `compress` before "
            f"`report`. Received: {count} rows of "
            f"{[len(row) for row in scores]} tasks"
        )
    table = np.full((count, count), np.nan)
    for i, row in enumerate(scores):
        table[i, : i + 1] = list(row.values())
    return continual_metrics(table, tasks=list(scores[-1]))


def choose_metric(values: Mapping[str, float], metric: str | None) -> str:
    """Returns the key of the metric to report."""
    others = [name for name in values if not name.endswith("loss")]
    if metric is None:
        metric = next((name for name in others if "acc" in name), None)
        if metric is None and len(others) == 1:
            metric = others[0]
    if metric is None or metric not in values:
        raise ValueError(
            f"Argument `metric` must be one of {list(values)}: compile the "
            f"model of the task with `metrics=[...]`. Received: "
            f"metric={metric!r}"
        )
    return metric
