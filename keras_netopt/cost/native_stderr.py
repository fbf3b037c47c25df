"""Keeps what native code writes to the standard error off the screen."""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

STDERR = 2
LAST_LINES = 20
# The file descriptor belongs to the whole process.
_LOCK = threading.RLock()


class _Passage:
    """A stream in place of another; log handlers may keep it for good.

    Args:
        stream: Where it writes to.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def hide_native_stderr() -> Iterator[None]:
    """Hides what native code, such as a converter, prints in the block.

    Native code writes to file descriptor 2. Python's `sys.stderr`, with the
    user's prints and with warnings, still goes to the screen. An error that
    the block raises gets the last hidden lines as a note. Blocks in several
    threads wait for one another.
    """
    with _LOCK, contextlib.ExitStack() as stack:
        try:
            screen = os.dup(STDERR)
        except OSError:  # A process without a standard error.
            yield
            return
        stack.callback(os.close, screen)
        hidden = stack.enter_context(tempfile.TemporaryFile())
        if _writes_to(sys.stderr, STDERR):
            sys.stderr.flush()
            python = stack.enter_context(
                open(screen, "w", buffering=1, closefd=False)
            )
            passage = _Passage(python)
            stack.callback(setattr, passage, "stream", sys.stderr)
            stack.enter_context(contextlib.redirect_stderr(passage))
        stack.callback(os.dup2, screen, STDERR)
        os.dup2(hidden.fileno(), STDERR)
        try:
            yield
        except BaseException as error:
            hidden.seek(0)
            lines = hidden.read().decode(errors="replace").splitlines()
            if lines:
                text = "\n".join(lines[-LAST_LINES:])
                error.add_note(f"Messages of native code:\n{text}")
            raise


def _writes_to(stream: object, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor  # type: ignore[attr-defined]
    # Without a file, as in a notebook, or closed, or None.
    except (AttributeError, OSError, ValueError):
        return False
