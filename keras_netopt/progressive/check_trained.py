"""Checks the active column before it is compressed."""

import warnings
from collections.abc import Sequence

from keras_netopt.progressive.task import Task
from keras_netopt.training.optimizers import all_optimizers, count_updates
from keras_netopt.warnings import NotIntendedUseWarning


def require_trained(active: Task | None, tasks: Sequence[str]) -> Task:
    """Returns the task to compress; warns if its optimizer made no step.

    Args:
        active: The task of the active column, or `None`.
        tasks: Names of the compressed tasks.

    Raises:
        ValueError: If there is none, or it is not compiled.
    """
    if active is None:
        raise ValueError(
            "There must be a task to compress: call `add_task`, then "
            f"compile and fit its model. Received: tasks {list(tasks)}, "
            "all compressed"
        )
    model = active.model
    if not model.compiled:
        raise ValueError(
            f"The model of task {active.name!r} must be compiled "
            "and trained before it is compressed. Received: a model that "
            "is not compiled"
        )
    steps = [
        count_updates(one)
        for one in all_optimizers(model.optimizer)
        if hasattr(one, "iterations")
    ]
    if steps and not any(steps):
        warnings.warn(
            f"ProgressCompress: the model of task {active.name!r} was "
            "compiled, but its optimizer made no step: the knowledge base "
            "learns the outputs of an untrained network. Call `fit` before "
            "`compress`.",
            NotIntendedUseWarning,
            stacklevel=3,
        )
    return active
