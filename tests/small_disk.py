"""A disk of a megabyte, for tests of what happens when it is full."""

import contextlib
import errno
import functools
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from unittest import mock

BYTES = 1 << 20


@contextlib.contextmanager
def small_disk(folder):
    """Yields a folder in which files of more than a megabyte do not fit.

    It is a file system in memory if this process may mount one. Else a limit
    on the size of files stands in, which is less than a full disk: it holds
    for each file, not for their sum, it raises EFBIG instead of ENOSPC, and
    `shutil.disk_usage` must be told of it. The header of pytest says which.
    """
    folder = Path(folder)
    folder.mkdir()
    if can_mount():
        _mount(folder).check_returncode()
        try:
            yield folder
        finally:
            _unmount(folder)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, before[1]))
        with mock.patch.object(shutil, "disk_usage", _limited):
            yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(folder, *, leave):
    """Fills a small disk but for so many bytes, or limits files to them."""
    if Path(folder).is_mount():
        Path(folder, "ballast").unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
        Path(folder, "ballast").write_bytes(bytes(max(free - leave, 0)))
    else:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (leave, hard))


@functools.cache
def can_mount():
    """Whether small disks are file systems."""
    with tempfile.TemporaryDirectory() as folder:
        if _mount(folder).returncode:
            return False
        _unmount(folder)
    return True


def error_number():
    """The number of the error that a full small disk raises."""
    return errno.ENOSPC if can_mount() else errno.EFBIG


def _mount(folder):
    options = ["-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", str(folder)]
    return subprocess.run(["mount", *options], capture_output=True, check=False)


def _unmount(folder):
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _limited(path):
    del path
    free = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return shutil._ntuple_diskusage(BYTES, BYTES - free, free)
