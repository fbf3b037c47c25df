"""A disk of a megabyte, for tests of what happens when it is full."""

import contextlib
import resource
import subprocess
from pathlib import Path

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
    is_mounted = not subprocess.run(
        [*command, str(folder)], capture_output=True, check=False
    ).returncode
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if not is_mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, limits[1]))
    try:
        yield folder
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
