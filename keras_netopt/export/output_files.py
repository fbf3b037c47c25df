"""The file that an export writes, and its temporary files."""

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Any

from keras_netopt.checks import check_bool
from keras_netopt.export.exportable_model import check_path
from keras_netopt.files import open_partial

FULL = "No space left on device"


def check_target(path: Any, overwrite: bool) -> str:
    """Returns a path as a string, which must end in `.tflite`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the path has another ending.
        OSError: If it is a folder, lies in a folder that does not exist, or
            is a file and `overwrite` is `False`.
    """
    target = check_path(path)
    check_bool(overwrite, "overwrite")
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    folder = os.path.dirname(target)
    if folder and not os.path.isdir(folder):
        raise FileNotFoundError(
            "Argument `path` must be in a folder that exists. "
            f"Received: path={target!r}. Create {folder!r} first"
        )
    if os.path.lexists(target) and not overwrite:
        raise FileExistsError(
            "Argument `path` must be a new file unless `overwrite=True` "
            "(on the command line: --overwrite). "
            f"Received: path={target!r}, which exists"
        )
    return target


@contextlib.contextmanager
def open_temporary_files(target: str) -> Iterator[tuple[str, str]]:
    """Two paths beside `target`, deleted at the end of the block.

    `put_in_place` keeps one of them.

    A full disk, in whatever error the block shows it, is an `OSError` with
    the number `ENOSPC`.
    """
    try:
        with open_partial(target) as plain, open_partial(target) as final:
            # An unwritable folder raises before the conversion.
            with open(plain, "xb"):
                pass
            yield plain, final
    except Exception as error:
        if _is_full_disk(error):
            raise OSError(
                errno.ENOSPC,
                f"{FULL}, in the folder of `path` or that of temporary files, "
                "which each hold a copy of the model during the export. "
                "Nothing was written",
                target,
            ) from error
        raise


def _is_full_disk(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, tells of a full disk.

    TensorFlow's own errors have no `errno`.
    """
    while error is not None:
        if getattr(error, "errno", None) == errno.ENOSPC or FULL in str(error):
            return True
        error = error.__cause__
    return False
