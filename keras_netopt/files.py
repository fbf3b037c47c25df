"""Files that are whole or absent: written aside, then put in place."""

import contextlib
import errno
import functools
import os
import platform
import re
import shutil
import stat
import time
import uuid
import zlib
from collections.abc import Iterator, Sequence

from keras_netopt.process_identity import read_machine

Path = str | os.PathLike[str]

ABANDONED = 3600  # Seconds after which a partial file has no writer.
# The host, the process and a number of its own, then the end of the name.
_PARTIAL = re.compile(r"\.partial-([0-9a-f]{8})-(\d+)-[0-9a-f]{12}-")
_NAME = 60  # Characters of the name that are kept: names have a limit.
_open: set[str] = set()


def is_local(path: Path) -> bool:
    """Returns whether a path is in the local file system."""
    return "://" not in os.fspath(path)


@contextlib.contextmanager
def write_aside(path: Path, *, sync: bool = True) -> Iterator[str]:
    """Yields a path beside `path`; what is written there takes its place.

    The new file replaces the old one when the block ends, after its bytes
    have reached the disk. A block that raises, a full disk and a killed
    process leave the old file as it was, and so does a machine that stops
    unless `sync` is `False`: for files that are written after each epoch, and
    of which an empty one costs an epoch. The yielded path keeps the file's
    suffix, as Keras chooses a format by it, and its folder, as files are
    replaced atomically in one file system only. A link is followed: the file
    that it points to is replaced. A new file has the permissions of the old
    one. What killed processes have left in the folder is deleted. A path with
    a scheme, such as "gs://bucket/best.keras", is yielded itself: stores of
    objects replace them whole. So is one that is no regular file, such as a
    pipe or "/dev/stdout".

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "scores.txt")
    >>> with write_aside(path) as partial:
    ...     _ = pathlib.Path(partial).write_text("0.5")
    >>> path.read_text()
    '0.5'

    Raises:
        OSError: Before the block if `path` is a folder, lies in no folder, or
            may not be written; after it if the disk is full.
    """
    if not is_local(path) or _is_special(path):
        yield os.fspath(path)
        return
    target = os.path.realpath(path)
    _check_writeable(target, os.fspath(path))
    with _name_partial(target, path) as partial:
        yield partial
        put_in_place(partial, target, sync=sync)


@contextlib.contextmanager
def open_partial(path: Path) -> Iterator[str]:
    """Yields the name of a partial file beside `path`; deletes the file.

    `put_in_place` in the block keeps it. `write_aside` is both.
    """
    target = os.path.realpath(path)
    _check_writeable(target, os.fspath(path))
    with _name_partial(target, path) as partial:
        yield partial


@contextlib.contextmanager
def write_folder_aside(folder: Path, index: str) -> Iterator[str]:
    """Yields a folder beside `folder`; its files are put in place together.

    Files of `folder` with other names stay. `index` is the file that tells
    what the others are: the old one is removed before the first of them is
    replaced and the new one comes last, so that a process that is killed in
    between leaves no mixture that looks whole.

    Raises:
        FileNotFoundError: If the folder around `folder` does not exist.
    """
    target = os.path.realpath(folder)
    parent = os.path.dirname(target)
    if not os.path.isdir(parent):
        text = f"There is no folder {parent!r}. Create it"
        raise FileNotFoundError(errno.ENOENT, text, os.fspath(folder))
    replacing: list[str] = []
    with _name_partial(target, folder, replacing) as partial:
        os.mkdir(partial)
        yield partial
        os.makedirs(target, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(target, index))
        for name in sorted(os.listdir(partial), key=lambda one: one == index):
            replacing.append(name)
            new = os.path.join(partial, name)
            put_in_place(new, os.path.join(target, name))


@contextlib.contextmanager
def _name_partial(
    target: str, path: Path, replacing: Sequence[str] = ()
) -> Iterator[str]:
    """Yields a name beside `target`, which the caller knows as `path`.

    `replacing` is not empty once files of the folder `target` are replaced.
    """
    folder, name = os.path.split(target)
    _remove_abandoned(folder)
    tag = f"{_host()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
    partial = os.path.join(folder, f".partial-{tag}-{name[-_NAME:]}")
    _open.add(partial)
    try:
        yield partial
    except Exception as error:
        if isinstance(error, OSError) and error.filename == partial:
            error.filename = os.fspath(path)
        kept = "is as it was" if os.path.exists(target) else "was not written"
        if replacing:
            kept = "is incomplete: export again"
        error.add_note(f"The file {os.fspath(path)!r} {kept}.")
        raise
    finally:
        _open.discard(partial)
        _remove(partial)


def put_in_place(partial: Path, path: Path, *, sync: bool = True) -> None:
    """Replaces the file at `path` by a partial file; see `write_aside`."""
    if _is_special(path):
        with open(partial, "rb") as source, open(path, "wb") as stream:
            shutil.copyfileobj(source, stream)
        return
    target = os.path.realpath(path)
    is_new = not os.path.exists(target)
    if sync:
        _sync(os.fspath(partial), os.O_RDWR)
    if not is_new:
        with contextlib.suppress(OSError):  # Not all file systems can.
            shutil.copymode(target, partial)
    os.replace(partial, target)
    if sync and is_new:  # A lost replacement leaves the old file.
        with contextlib.suppress(OSError):  # Not all file systems can.
            _sync(os.path.dirname(target), os.O_RDONLY)


@contextlib.contextmanager
def name_unreadable(path: Path, kind: str, remedy: str) -> Iterator[None]:
    """Names the file in the error of a block that reads it.

    `kind` says what the file should hold, such as "an index of exits";
    `remedy` says what to do. The block reads and does nothing else.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the block cannot read or parse the file.
    """
    try:
        yield
    except MemoryError:
        raise
    # Bytes that are no such file may raise anything where they are parsed.
    except Exception as error:
        name = os.fspath(path)
        if not os.path.exists(name):
            raise FileNotFoundError(
                errno.ENOENT,
                f"There is no such file, which should hold {kind}. {remedy}",
                name,
            ) from error
        raise ValueError(
            f"The file cannot be read as {kind}: it is damaged, empty, of "
            f"another kind, or may not be read "
            f"({type(error).__name__}: {error}). "
            f"Received: path={name!r}. {remedy}"
        ) from error


def _is_special(path: Path) -> bool:
    """Returns whether a path is a pipe, a device or a socket."""
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def _check_writeable(target: str, path: str) -> None:
    """Raises what `open(path, "w")` would raise."""
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        code, why = errno.EISDIR, "This is a folder. Pass the name of a file"
    elif not os.path.isdir(folder):
        code, why = errno.ENOENT, f"There is no folder {folder!r}. Create it"
    elif not os.access(folder, os.W_OK) or (
        os.path.exists(target) and not os.access(target, os.W_OK)
    ):
        code, why = errno.EACCES, "The file or its folder is read-only"
    else:
        return
    raise OSError(code, why, path)


@functools.cache
def _remove_abandoned(folder: str) -> None:
    """Removes the partial files of processes that ended, once per folder."""
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = os.listdir(folder)
    for name in names:
        path = os.path.join(folder, name)
        found = _PARTIAL.match(name)
        if found and path not in _open and _is_abandoned(path, *found.groups()):
            _remove(path)


def _is_abandoned(path: str, host: str, process: str) -> bool:
    if host == _host() and os.name == "posix":
        # Another process had this number, where `path` is not one of ours.
        if int(process) == os.getpid() or not _is_running(int(process)):
            return True
    with contextlib.suppress(OSError):
        return time.time() - os.path.getmtime(path) > ABANDONED
    return False


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # It belongs to another user.
        return True
    return True


@functools.cache
def _host() -> str:
    """Stands for the numbering of processes that this process sees."""
    name = f"{platform.node()} {read_machine()}"
    return f"{zlib.crc32(name.encode()):08x}"


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.remove(path)


def _sync(path: str, mode: int) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
