"""Parameters and MACs per task."""

from dataclasses import dataclass

from keras_netopt.cost import summarize
from keras_netopt.progressive.task import Task
from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class TaskCosts:
    """What one task adds to a network.

    Args:
        task: Name of the task.
        column_params: Parameters of its column, lateral connections apart.
        lateral_params: Parameters of its lateral connections.
        head_params: Parameters of its head.
        total_params: Parameters of its model, earlier columns included.
        macs: MACs per sample of its model, earlier columns included, or
            `None` where they are unknown.
    """

    task: str
    column_params: int
    lateral_params: int
    head_params: int
    total_params: int
    macs: int | None


@dataclass(frozen=True)
class NetworkCosts(Report):
    """Result of `ProgressiveNetwork.summary`.

    Args:
        tasks: One row per task.
    """

    tasks: list[TaskCosts]

    def __str__(self) -> str:
        rows = [
            [
                one.task,
                one.column_params,
                one.lateral_params,
                one.head_params,
                one.total_params,
                one.macs,
            ]
            for one in self.tasks
        ]
        headers = ["task", "column", "laterals", "head", "total", "MACs"]
        return render(headers, rows)


def measure_task(task: Task) -> TaskCosts:
    """Counts the parameters and MACs of a task."""
    laterals = sum(one.count_params() for one in task.laterals)
    column = task.column() if task.frozen is None else task.frozen.column
    return TaskCosts(
        task=task.name,
        column_params=column.count_params() - laterals,
        lateral_params=laterals,
        head_params=task.head.count_params(),
        total_params=task.model.count_params(),
        macs=summarize(task.model).macs,
    )
