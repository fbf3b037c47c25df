"""Announces what happens in a child, so that its parent can kill it there."""

import json
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE_EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")


@dataclass(frozen=True)
class Moment:
    """When a child is killed.

    Args:
        kind: "batch", the end of a training batch; "file", before a file in
            the folder is opened for writing, replaced or removed; "h5", after
            an HDF5 file was opened for writing, before its bytes are there.
        number: The kill follows this event of the kind, from 1.
        delay: Seconds until the kill. With 0 the child waits for it.
    """

    kind: str
    number: int
    delay: float = 0.0


class Witness:
    """Counts events in a child and writes the chosen one to a pipe.

    Args:
        folder: Files outside of it are not counted.
        moment: The event to announce, or `None`.
        pipe: Where to announce it.
    """

    def __init__(self, folder: Path, moment: Moment | None, pipe: int) -> None:
        self.folder = str(folder.resolve()) + os.sep
        self.moment, self.pipe = moment, pipe
        self.counts: Counter[str] = Counter()

    def see(self, kind: str, what: str = "") -> None:
        """Called at each event."""
        self.counts[kind] += 1
        moment = self.moment
        if moment is None or kind != moment.kind:
            return
        if self.counts[kind] == moment.number:
            os.write(self.pipe, json.dumps(what).encode() + b"\n")
            if not moment.delay:
                signal.pause()

    def watch_files(self) -> None:
        """Counts changes of files, for the rest of the process."""
        import h5py

        sys.addaudithook(self._audit)
        opened = h5py.File.__init__
        witness = self

        def open_file(self: Any, name: Any, mode: str = "r", **kw: Any) -> None:
            opened(self, name, mode, **kw)
            if mode != "r" and witness._is_inside(name):
                witness.see("h5", f"h5 {os.path.basename(name)}")

        h5py.File.__init__ = open_file

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = (flags or 0) & (os.O_WRONLY | os.O_RDWR)
            if mode is not None:
                writes = set(mode) & set("wax+")
            if not writes:
                return
        elif event in _FILE_EVENTS:
            path = arguments[0]
        else:
            return
        if self._is_inside(path):
            self.see("file", f"{event} {os.path.basename(path)}")

    def _is_inside(self, path: Any) -> bool:
        if not isinstance(path, str | os.PathLike):
            return False
        return os.path.abspath(os.fspath(path)).startswith(self.folder)
