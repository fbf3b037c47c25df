"""Names of tasks."""

from collections.abc import Collection
from typing import Any


def check_task_name(
    name: Any, tasks: Collection[str], argument: str = "name"
) -> str:
    """Returns the name of a new task; `None` stands for a number."""
    if name is None:
        number = len(tasks) + 1
        while f"task{number}" in tasks:
            number += 1
        name = f"task{number}"
    if not isinstance(name, str) or not name or "/" in name:
        raise ValueError(
            f"Argument `{argument}` must be a string without a slash. "
            f"Received: {argument}={name!r}"
        )
    if name in tasks:
        raise ValueError(
            f"Argument `{argument}` must differ from the names of the other "
            f"tasks, {list(tasks)}. Received: {argument}={name!r}"
        )
    return name
