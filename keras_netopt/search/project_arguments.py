"""Checks the arguments that name the folder of a search."""

import os
from pathlib import Path
from typing import Any

from keras_netopt.checks import check_truth

LONGEST = 255  # Bytes of a name in the usual file systems.


def check_project(directory: Any, project_name: Any, overwrite: Any) -> None:
    """Refuses what does not name a folder."""
    for name, value in (
        ("directory", directory),
        ("project_name", project_name),
    ):
        expected = "None, a string or a path"
        if value is None:
            continue
        if not isinstance(value, str | os.PathLike):
            raise TypeError(
                f"Argument `{name}` must be {expected}. "
                f"Received: {name}={value!r}"
            )
        path = os.fspath(value)
        if not isinstance(path, str) or "\0" in path:
            raise ValueError(
                f"Argument `{name}` must be {expected}, without null "
                f"characters. Received: {name}={value!r}"
            )
        if any(len(os.fsencode(p)) > LONGEST for p in Path(path).parts):
            raise ValueError(
                f"Argument `{name}` must have names of at most {LONGEST} "
                f"bytes. Received: {name}={value!r}"
            )
    check_truth(overwrite, "overwrite")
