"""Atomic reads and writes of project files."""

import json
import os
from typing import Any


def write_json(path: str, content: Any) -> None:
    """Writes a JSON file atomically.

    Readers, and a resume after a kill, find the old or the new file. For
    local paths only, not for paths such as "gs://bucket/oracle.json".

    Example:

    >>> write_json("state.json", {"done": 3})
    >>> read_json("state.json")
    {'done': 3}

    Args:
        path: The file.
        content: JSON-safe values.
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
        ValueError: If it is not valid JSON.
    """
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def is_local(path: str) -> bool:
    """Returns whether a path is in the local file system.

    Example:

    >>> is_local("runs/search"), is_local("gs://bucket/search")
    (True, False)
    """
    return "://" not in str(path)
