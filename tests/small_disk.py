"""A disk of a megabyte, for tests of what happens when it is full."""

import contextlib
import resource
import shutil
import subprocess
from pathlib import Path
from unittest import mock

BYTES = 1 << 20


@contextlib.contextmanager
def small_disk(folder):
    """Yields a folder in which files of more than a megabyte do not fit.

    A file system in memory if this process may mount one, else a limit on the
    size of a file, which raises another number at the same places.
    """
    folder = Path(folder)
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs"]
    mounted = subprocess.run(
        [*command, str(folder)], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
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


def _limited(path):
    del path
    free = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return shutil._ntuple_diskusage(BYTES, BYTES - free, free)
