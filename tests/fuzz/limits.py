"""Time and memory that one call may use."""

import contextlib
import faulthandler
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

SECONDS = 10
MORE_BYTES = 2**30


class TooSlow(Exception):
    """A call has not returned in time."""


def _interrupt(number: int, frame: object) -> None:
    raise TooSlow(f"no answer within {SECONDS} seconds")


@contextlib.contextmanager
def limit_time() -> Iterator[None]:
    """Raises `TooSlow` in Python code; ends the process in code that is C."""
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(6 * SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def limit_memory() -> Iterator[None]:
    """Lets the process allocate another GiB; then Python raises an error."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
