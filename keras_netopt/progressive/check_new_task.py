"""Checks of a new task against the finished ones."""

import warnings
from collections.abc import Iterable

from keras_netopt.progressive.task import Task
from keras_netopt.warnings import NotIntendedUseWarning

# Lateral connections with fewer parameters are not worth a warning.
SMALL = 100_000


def check_new_task(task: Task, finished: Iterable[Task]) -> None:
    """Refuses weights of finished tasks; warns of large lateral connections."""
    owners = {
        id(variable): (other.name, variable.path)
        for other in finished
        for _, variable in other.variables
    }
    column = task.column()
    shared = [
        owners[id(v)]
        for v in (*column.weights, *task.head.weights)
        if id(v) in owners
    ]
    if shared:
        raise ValueError(
            "A new task must have new layers: those of a finished task do not "
            f"train. Received: task {task.name!r} with the weight "
            f"{shared[0][1]!r} of task {shared[0][0]!r}. Create the layers "
            "inside `column`, and a new layer for each `head`."
        )
    adapters = sum(layer.count_params() for layer in task.laterals)
    params = column.count_params() - adapters
    if adapters > max(params, SMALL):
        warnings.warn(
            f"The lateral connections of task {task.name!r} have {adapters:,} "
            f"parameters, its column has {params:,}. Choose a smaller "
            '`adapter_width`, fewer `hidden` tensors, or `lateral="previous"`.',
            NotIntendedUseWarning,
            stacklevel=3,
        )
