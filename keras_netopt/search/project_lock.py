"""The lock of a project folder, which one search holds at a time.

Needs neither Keras nor KerasTuner.
"""

import contextlib
import json
import os
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from keras_netopt.process_identity import ProcessIdentity

FILE = "search.lock"
# Seconds between two signs of life, and of silence until the lock of another
# machine, whose processes cannot be seen, counts as abandoned.
HEARTBEAT, SILENCE = 10.0, 60.0
TAKING = 10.0  # Seconds that no removal of an abandoned lock takes.
# Seconds before each further attempt to read a lock that cannot be read.
PAUSES = (0.02, 0.1, 0.4)

Found = dict[str, Any]
# The locks that this process holds, with its number: a fork inherits them.
_held: set[tuple[int, str]] = set()


class ProjectLock:
    """Keeps other searches out of a project folder.

    The owner touches the file of the lock every few seconds. The lock of a
    killed process is taken over: at once if it ran on this machine, else when
    its file has not been touched for a minute. Only the process that searches
    takes the lock, not its workers.

    Args:
        folder: The project folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder) / FILE
        self._token = uuid.uuid4().hex
        self._end = threading.Event()
        self._heart: threading.Thread | None = None

    def __enter__(self) -> "ProjectLock":
        """Takes the lock, also that of a process that is dead.

        Raises:
            RuntimeError: If another search holds it.
        """
        key = (os.getpid(), self._token)
        _held.add(key)
        try:
            while not self._create():
                self._remove(refuse_running(self.path.parent))
        except BaseException:
            _held.discard(key)
            raise
        self._sweep()
        self._end.clear()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Deletes the lock, unless another search has taken it over."""
        self._end.set()
        if self._heart is not None:
            self._heart.join()
        if self._is_ours():
            self.path.unlink(missing_ok=True)
        _held.discard((os.getpid(), self._token))

    def keep(self) -> bool:
        """Returns whether the lock is still there; creates it again if not.

        Raises:
            RuntimeError: If another search has taken it over.
        """
        found = _read(self.path)
        if found is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._create():
                return False
            found = _read(self.path)
        if found and found.get("token") == self._token:
            return True
        raise RuntimeError(
            "This search must end: another one, "
            f"{_describe(found)}, has taken over its project "
            "folder, after the folder was deleted or this process was "
            "silent for long. What this search saved before is kept. "
            f"Received: {self.path.parent}. Remedy: end the other search and "
            "run this one again."
        )

    def show_life(self) -> None:
        """Touches the lock, unless another search has taken it over."""
        with contextlib.suppress(OSError):
            if self._is_ours():
                os.utime(self.path)

    def _create(self) -> bool:
        """Creates the file, with its content, unless it exists."""
        content = {"token": self._token, **ProcessIdentity.own().to_dict()}
        content["time"] = time.strftime("%Y-%m-%d %H:%M:%S %z")
        text, partial = json.dumps(content), self._partial()
        try:
            partial.write_text(text, encoding="utf-8")
            try:
                os.link(partial, self.path)
            except FileExistsError:
                return False
            except OSError:  # A file system without links.
                with contextlib.suppress(FileExistsError):
                    with open(self.path, "x", encoding="utf-8") as file:
                        file.write(text)
            return self._is_ours()
        finally:
            partial.unlink(missing_ok=True)

    def _remove(self, abandoned: Found | None) -> None:
        """Removes an abandoned lock, but not one that is new in its place.

        One process at a time looks and removes: it holds a second file, which
        is out of date after a few seconds if its process was killed.
        """
        guard = self.path.with_name(f"{FILE}.taking")
        try:
            with open(guard, "x", encoding="utf-8"):
                pass
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - guard.stat().st_mtime > TAKING:
                    guard.unlink()
            time.sleep(0.01)
            return
        try:
            if abandoned is not None and _read(self.path) == abandoned:
                self.path.unlink(missing_ok=True)
        finally:
            guard.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Deletes what dead processes have left beside the lock."""
        for path in self.path.parent.glob(f"partial-*-{FILE}"):
            with contextlib.suppress(OSError):
                is_dead = _is_dead(_read(path) or {})
                if is_dead is None:
                    is_dead = _silence(path) >= SILENCE
                if is_dead:
                    path.unlink()

    def _partial(self) -> Path:
        return self.path.with_name(f"partial-{self._token}-{FILE}")

    def _is_ours(self) -> bool:
        found = _read(self.path)
        return found is not None and found.get("token") == self._token

    def _beat(self) -> None:
        while not self._end.wait(HEARTBEAT):
            self.show_life()


def refuse_running(folder: str | os.PathLike[str]) -> Found | None:
    """Refuses a project folder in which a search runs.

    Returns:
        The content of an abandoned lock, `None` if there is no lock.

    Raises:
        RuntimeError: If the process that holds the lock is alive, or cannot
            be seen and has shown a sign of life within a minute.
    """
    path = Path(folder) / FILE
    found = _read(path)
    if found is None:
        return None
    is_dead = _is_dead(found)
    hint = ""
    if is_dead is None:
        silence = _silence(path)
        is_dead = silence >= SILENCE
        hint = (
            " That process cannot be seen from here: if it is dead, delete "
            f"{path}, or wait {SILENCE - silence:.0f} s, until its lock counts "
            "as abandoned."
        )
    if is_dead:
        return found
    raise RuntimeError(
        "A project folder must have one search at a time. Another one, "
        f"{_describe(found)}, is running in it; nothing was changed. "
        f"Received: {folder}. Remedy: wait for it, or pass another "
        "`project_name`; one search in many processes needs an `executor`, "
        f"or the chief and workers of KerasTuner.{hint}"
    )


def _is_dead(found: Found) -> bool | None:
    """Returns whether the owner has ended, `None` if that is unknown."""
    owner, own = ProcessIdentity.from_dict(found), ProcessIdentity.own()
    place = (owner.host, owner.machine, owner.pid)
    if place == (own.host, own.machine, own.pid):
        # A lock that this process does not hold was left behind.
        return (own.pid, str(found.get("token"))) not in _held
    return owner.is_dead()


def _silence(path: Path) -> float:
    """Returns the seconds since the last sign of life, by one clock."""
    probe = path.with_name(f"partial-{uuid.uuid4().hex}-{FILE}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return SILENCE
    finally:
        probe.unlink(missing_ok=True)


def _read(path: Path) -> Found | None:
    """Returns what a lock says of its owner, `None` if there is no lock.

    Tries again before it concludes that a lock cannot be read: a file server
    may fail once, and another process may be writing.
    """
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            continue
        return found if isinstance(found, dict) else {}
    return {}


def _describe(found: Found | None) -> str:
    if not found:
        return "whose lock cannot be read"
    return (
        f"process {found.get('pid')} of {found.get('user')} on "
        f"{found.get('host')} since {found.get('time')}"
    )
