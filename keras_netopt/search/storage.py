"""Atomic reads and writes of project files."""

import json
import os
import uuid
from typing import Any


def write_json(path: str, content: Any) -> None:
    """Writes JSON-safe values to a file atomically.

    Readers, and a resume after a kill, find the old or the new file; of
    several processes that write at once, one is last. For local paths only,
    not for paths such as "gs://bucket/oracle.json".
    """
    text = json.dumps(content)
    partial = f"{path}.{uuid.uuid4().hex}.partial"
    try:
        with open(partial, "x", encoding="utf-8") as file:
            file.write(text)
        os.replace(partial, path)
    except BaseException:
        if os.path.exists(partial):
            os.remove(partial)
        raise


def read_json(path: str) -> Any:
    """Reads a JSON file; invalid JSON raises ValueError."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def is_local(path: str) -> bool:
    """Returns whether a path is in the local file system."""
    return "://" not in str(path)
