"""Forgetting and transfer from accuracies after each task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt import tables
from keras_netopt.report import Report


def average_accuracy(accuracies: np.ndarray) -> float:
    """Returns the mean accuracy over all tasks after the last one.

    Example:

    >>> average_accuracy(np.array([[0.9, 0.1], [0.7, 0.8]]))
    0.75
    """
    return float(np.mean(accuracies[-1]))


def backward_transfer(accuracies: np.ndarray) -> float | None:
    """Returns the mean change of earlier tasks since they were learned.

    Negative: later tasks damage earlier ones. `None` for one task.

    Example:

    >>> print(f"{backward_transfer(np.array([[0.9, 0.1], [0.7, 0.8]])):.1f}")
    -0.2
    """
    if len(accuracies) < 2:
        return None
    changes = accuracies[-1] - np.diag(accuracies)
    return float(changes[:-1].mean())


def forward_transfer(
    accuracies: np.ndarray, baseline: np.ndarray
) -> float | None:
    """Returns the mean gain on a task before it is learned.

    `baseline` holds the accuracy of an untrained model on each task. `None`
    for one task.

    Example:

    >>> before = np.array([0.1, 0.2])
    >>> table = np.array([[0.9, 0.5], [0.7, 0.8]])
    >>> print(f"{forward_transfer(table, before):.1f}")
    0.3
    """
    if len(accuracies) < 2:
        return None
    return float((np.diag(accuracies, 1) - baseline[1:]).mean())


def forgetting(accuracies: np.ndarray) -> np.ndarray:
    """Returns what each earlier task lost of its best accuracy.

    One number per task but the last: the best accuracy since the task was
    trained, before the last task, minus the accuracy at the end. Negative if
    the last task improved an earlier one.

    Example:

    >>> forgetting(np.array([[0.75, 0.25], [0.5, 0.875]])).tolist()
    [0.25]
    """
    count = len(accuracies)
    best = [accuracies[i:-1, i].max() for i in range(count - 1)]
    return np.array(best) - accuracies[-1, :-1]


@dataclass(frozen=True, eq=False)
class ContinualMetrics(Report):
    """Accuracies after each task, and what they say.

    Args:
        tasks: Names of the tasks, in the order of training.
        accuracies: Array of shape `(tasks, tasks)`: row i holds the accuracy
            on each task after training task i.
        average_accuracy: Mean of the last row.
        backward_transfer: Mean of the last row minus the diagonal, without
            the last task; `None` for one task.
        forward_transfer: Mean accuracy on each task right before it is
            trained, minus that of an untrained model; `None` if that is not
            known.
        forgetting: For each task but the last, its best accuracy since it was
            trained minus the last one.
    """

    tasks: tuple[str, ...]
    accuracies: np.ndarray
    average_accuracy: float
    backward_transfer: float | None = None
    forward_transfer: float | None = None
    forgetting: tuple[float, ...] = ()

    def __str__(self) -> str:
        headers = ["after training", *self.tasks]
        rows: list[list[Any]] = [
            [task, *(f"{value:.4f}" for value in row)]
            for task, row in zip(self.tasks, self.accuracies, strict=False)
        ]
        if self.forgetting:
            lost = [f"{value:+.4f}" for value in self.forgetting]
            blank = [None] * (len(self.tasks) - len(lost))
            rows.append(["forgetting", *lost, *blank])
        named = {
            "average accuracy": f"{self.average_accuracy:.4f}",
            "backward transfer": _signed(self.backward_transfer),
            "forward transfer": _signed(self.forward_transfer),
        }
        text = ", ".join(f"{k} {v}" for k, v in named.items() if v)
        return tables.render(headers, rows, title=text)


def continual_metrics(
    accuracies: Any,
    *,
    tasks: Sequence[str] | None = None,
    baseline: Any = None,
) -> ContinualMetrics:
    """Computes forgetting and transfer from accuracies after each task.

    Example:

    >>> from keras_netopt.progressive import continual_metrics
    >>> found = continual_metrics([[0.75, 0.25], [0.5, 0.875]])
    >>> found.backward_transfer, found.forgetting
    (-0.25, (0.25,))

    Args:
        accuracies: Array of shape `(tasks, tasks)`: row i holds the accuracy
            on each task after training task i. Accuracies on later tasks are
            used by `forward_transfer` only; without `baseline` they may be
            NaN.
        tasks: Names of the tasks. Defaults to `None`: "task1", "task2", ...
        baseline: Accuracy of an untrained model on each task, for the forward
            transfer. Defaults to `None`: forward transfer is not computed.

    Returns:
        Average accuracy, backward transfer, forward transfer and forgetting;
        printing it shows the table.

    Raises:
        ValueError: If `accuracies` is no square array of numbers, or another
            argument has not one entry per task.

    Reference:
        Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual
        Learning", 2017, https://arxiv.org/abs/1706.08840; forgetting:
        Chaudhry et al., "Riemannian Walk for Incremental Learning", 2018,
        https://arxiv.org/abs/1801.10112.
    """
    table = _as_floats(accuracies)
    count = len(table) if table is not None and table.ndim else 0
    if table is None or table.shape != (count, count) or count == 0:
        raise ValueError(
            "Argument `accuracies` must be a square array of numbers, one row "
            "and one column per task. "
            f"Received: accuracies={accuracies!r}"
        )
    needed = table[np.tri(count, dtype=bool)]
    if not np.isfinite(needed).all():
        raise ValueError(
            "Argument `accuracies` must hold finite numbers on and below the "
            "diagonal: evaluate every task learned so far after each task. "
            f"Received: accuracies={table.tolist()}"
        )
    names = _check_names(tasks, count)
    forward = None
    if baseline is not None:
        before = _as_floats(baseline)
        if (
            before is None
            or before.shape != (count,)
            or not np.isfinite(before).all()
            or not np.isfinite(np.diag(table, 1)).all()
        ):
            raise ValueError(
                f"Argument `baseline` must hold {count} finite numbers, one "
                "per task, and `accuracies` those of each task right before "
                f"it is trained. Received: baseline={baseline!r}"
            )
        forward = forward_transfer(table, before)
    return ContinualMetrics(
        names,
        table,
        average_accuracy(table),
        backward_transfer(table),
        forward,
        tuple(float(value) for value in forgetting(table)),
    )


def _check_names(tasks: Any, count: int) -> tuple[str, ...]:
    if tasks is None:
        return tuple(f"task{i + 1}" for i in range(count))
    is_list = isinstance(tasks, Sequence) and not isinstance(tasks, str)
    names = tuple(str(task) for task in tasks) if is_list else ()
    if len(set(names)) != len(names) or len(names) != count:
        raise ValueError(
            f"Argument `tasks` must be a list of {count} different names, one "
            f"per row of `accuracies`. Received: tasks={tasks!r}"
        )
    return names


def _as_floats(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value, "float64")
    except (TypeError, ValueError):
        return None


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"
