"""Whether earlier tasks are what they were."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.progressive.task import Task, hash_value
from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class TaskCheck:
    """Result of the check of one task.

    Args:
        task: Name of the task.
        variables: Number of variables of its column and head.
        changed: Names of the variables that differ by at least one bit.
        outputs_equal: Whether its outputs on the probe are bit-equal, or
            `None` without a probe.
    """

    task: str
    variables: int
    changed: list[str]
    outputs_equal: bool | None

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return not self.changed and self.outputs_equal is not False


@dataclass(frozen=True)
class ForgettingReport(Report):
    """Result of `ProgressiveNetwork.check_forgetting`.

    Args:
        tasks: One check per finished task.
    """

    tasks: list[TaskCheck]

    @property
    def passed(self) -> bool:
        """Whether no finished task has changed by a bit."""
        return all(task.passed for task in self.tasks)

    def __str__(self) -> str:
        rows = [
            [
                task.task,
                f"{task.variables - len(task.changed)} of {task.variables}",
                {None: "no probe", True: "bit-equal", False: "DIFFER"}[
                    task.outputs_equal
                ],
                ", ".join(task.changed[:3]) or "-",
            ]
            for task in self.tasks
        ]
        return render(
            ["finished task", "variables bit-equal", "outputs", "changed"],
            rows,
        )


def check_task(task: Task, probe: Any) -> TaskCheck:
    """Compares a finished task with the moment when it was finished."""
    changed = [
        name
        for name, variable in task.variables
        if hash_value(variable) != task.fingerprint[name]
    ]
    equal = None
    if task.probe_outputs is not None and probe is not None:
        pairs = zip(task.run(probe), task.probe_outputs, strict=True)
        equal = all(np.array_equal(now, before) for now, before in pairs)
    return TaskCheck(task.name, len(task.fingerprint), changed, equal)
