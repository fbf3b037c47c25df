"""A forked child that is killed at a chosen moment, or runs to its end."""

import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.crashes.witness import Moment, Witness

SECONDS = 300.0  # A child that takes longer is stuck.

Work = Callable[[Witness], None]


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Args:
        killed: What happened at the moment of the kill, `None` if the child
            ended by itself.
        error: Its traceback, "" if it raised nothing.
        warnings: The texts of its warnings.
    """

    killed: str | None
    error: str
    warnings: tuple[str, ...]


def run_child(work: Work, folder: Path, moment: Moment | None) -> Outcome:
    """Runs `work` in a fork whose working directory is `folder`.

    Messages of the child go to the files "log", "error" and "warnings"
    beside the folder.
    """
    notes = folder.parent
    for name in ("error", "warnings"):
        (notes / name).unlink(missing_ok=True)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _work(work, folder, moment, writer)
    os.close(writer)
    try:
        killed = _kill_at(pid, reader, moment)
    finally:
        os.close(reader)
    return Outcome(killed, _read(notes / "error"), _warnings(notes))


def _kill_at(pid: int, reader: int, moment: Moment | None) -> str | None:
    ready, _, _ = select.select([reader], [], [], SECONDS)
    event = os.read(reader, 4096).decode().strip() if ready else "stuck"
    if event == "stuck":
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise RuntimeError(f"A child takes more than {SECONDS} seconds")
    if event and moment is not None:
        time.sleep(moment.delay)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    was_killed = os.WIFSIGNALED(status)
    if was_killed and os.WTERMSIG(status) != signal.SIGKILL:
        raise RuntimeError(f"A child ended by signal {os.WTERMSIG(status)}")
    return event if was_killed else None


def _work(work: Work, folder: Path, moment: Moment | None, pipe: int) -> None:
    """Never returns: the process ends without the cleanup of its parent."""
    code, notes = 1, folder.parent.resolve()
    try:
        log = os.open(notes / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(folder)
        _record_warnings(notes / "warnings")
        work(Witness(folder, moment, pipe))
        code = 0
    except BaseException:
        (notes / "error").write_text(traceback.format_exc())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _record_warnings(path: Path) -> None:
    def record(message: Any, category: Any, *others: Any, **more: Any) -> None:
        line = f"{category.__name__}: {message}".replace("\n", " ")
        with path.open("a") as file:
            file.write(f"{line}\n")

    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", UserWarning)
    warnings.showwarning = record


def _warnings(notes: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_read(notes / "warnings").splitlines()))


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
