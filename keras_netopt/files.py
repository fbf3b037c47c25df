"""Files that are whole or absent: written aside, then put in place."""

import contextlib
import os
import uuid
from collections.abc import Iterator


@contextlib.contextmanager
def write_aside(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yields a path beside `path`; what is written there takes its place.

    The new file replaces the old one when the block ends, after its bytes
    have reached the disk. A block that raises, a full disk and a killed
    process leave the old file as it was. The yielded path keeps the file's
    suffix, as Keras chooses a format by it, and its folder, as files are
    replaced atomically in one file system only. A link is followed: the file
    that it points to is replaced.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "scores.txt")
    >>> with write_aside(path) as partial:
    ...     _ = pathlib.Path(partial).write_text("0.5")
    >>> path.read_text()
    '0.5'
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    partial = os.path.join(folder, f"partial-{uuid.uuid4().hex}-{name}")
    try:
        yield partial
        _sync(partial)
        os.replace(partial, target)
        _sync(folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)
        raise


@contextlib.contextmanager
def name_unreadable(
    path: str | os.PathLike[str], kind: str, remedy: str
) -> Iterator[None]:
    """Names the file in the error of a block that reads it.

    `kind` says what the file should hold, such as "an index of exits";
    `remedy` says what to do. A missing file stays a FileNotFoundError.

    Raises:
        ValueError: If the block cannot read or parse the file.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(
            f"The file cannot be read as {kind}: "
            f"{type(error).__name__}: {error}. "
            f"Received: path={os.fspath(path)!r}. {remedy}"
        ) from error


def _sync(path: str) -> None:
    """Waits until a file or the entries of a folder are on the disk."""
    if os.name == "nt" and os.path.isdir(path):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
