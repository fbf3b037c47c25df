"""Which process on which machine."""

import contextlib
import getpass
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, told apart from later ones with the same number.

    Args:
        host: Name of the machine.
        machine: Identifies the numbering of processes: the start of the
            machine and, in containers, the namespace. Defaults to `""`.
        pid: Number of the process. Defaults to `0`.
        started: When the process started, in the system's own unit; "" where
            the system does not tell. Defaults to `""`.
        user: Name of the user. Defaults to `""`.
    """

    host: str
    machine: str = ""
    pid: int = 0
    started: str = ""
    user: str = ""

    @classmethod
    def own(cls) -> "ProcessIdentity":
        """Returns the identity of this process."""
        user, pid = "an unknown user", os.getpid()
        with contextlib.suppress(OSError, KeyError, ImportError):
            user = getpass.getuser()
        started = (_read_status(pid) or ("", ""))[1]
        return cls(platform.node(), read_machine(), pid, started, user)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "ProcessIdentity":
        """Restores an identity; what is missing is unknown."""
        known = {one.name for one in fields(cls)} & set(content)
        return cls(**{"host": "", **{name: content[name] for name in known}})

    def to_dict(self) -> dict[str, Any]:
        """Returns the JSON-safe content."""
        return asdict(self)

    def is_dead(self) -> bool | None:
        """Returns whether the process has ended; `None` if that is unknown.

        Unknown are processes of other machines and containers, and, but on
        Linux, processes whose number is in use.
        """
        own = ProcessIdentity.own()
        if (self.host, self.machine) != (own.host, own.machine):
            return None
        if self.started and own.started:
            status = _read_status(self.pid)
            return status is None or status[1] != self.started
        if os.name != "posix":  # Elsewhere signal 0 is a signal.
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return None


def read_machine() -> str:
    """Identifies the numbering of processes: start and namespace."""
    found = []
    with contextlib.suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        found.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(part.strip() for part in found)


def _read_status(pid: int) -> tuple[str, str] | None:
    """Returns the state and the start of a process of Linux, if it lives.

    A process that was killed but whose parent has not asked for its result
    is dead.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    parts = text.rpartition(")")[2].split()
    return None if parts[0] in "ZX" else (parts[0], parts[19])
