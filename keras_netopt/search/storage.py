"""Atomic reads and writes of project files."""

import json
from typing import Any

from keras_netopt.files import write_aside


def write_json(path: str, content: Any, *, sync: bool = True) -> None:
    """Writes JSON-safe values to a file atomically.

    Readers, and a resume after a kill, find the old or the new file; of
    several processes that write at once, one is last. For local paths only,
    not for paths such as "gs://bucket/oracle.json". `sync` is that of
    `write_aside`.
    """
    write_text(path, json.dumps(content), sync=sync)


def write_text(path: str, text: str, *, sync: bool = True) -> None:
    """Writes a text file as `write_json` does."""
    with (
        write_aside(path, sync=sync) as partial,
        open(partial, "x", encoding="utf-8") as file,
    ):
        file.write(text)


def read_json(path: str) -> Any:
    """Reads a JSON file; invalid JSON raises ValueError."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)
