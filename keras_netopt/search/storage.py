"""Files of a search project that are whole at every moment."""

import json
import os
from typing import Any


def write_json(path: str, content: Any) -> None:
    """Writes a JSON file in one step: readers see the old or the new one.

    A process that is killed in the middle leaves the old file. Paths with a
    scheme, as in "gs://bucket/oracle.json", are not for this function.

    Example:

    >>> write_json("state.json", {"done": 3})
    >>> read_json("state.json")
    {'done': 3}

    Args:
        path: The file.
        content: What `json.dumps` takes.
    """
    partial = f"{path}.partial"
    with open(partial, "w", encoding="utf-8") as file:
        file.write(json.dumps(content))
    os.replace(partial, path)


def read_json(path: str) -> Any:
    """Reads a JSON file.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is not JSON.
    """
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def is_local(path: str) -> bool:
    """Whether a path is of this machine's file system.

    Example:

    >>> is_local("runs/search"), is_local("gs://bucket/search")
    (True, False)
    """
    return "://" not in str(path)
