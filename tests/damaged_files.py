"""Files that no reader can read, made of a good one."""

import shutil
from pathlib import Path


def damage(path):
    """Yields kinds of damage and paths of files with the name of a good one.

    Each file is a copy in a folder of its own; the last one does not exist.
    """
    path = Path(path)
    content = path.read_bytes()
    for kind, found in (
        ("torn", content[: len(content) // 2]),
        ("torn at its end", content[:-7]),
        ("empty", b""),
        ("foreign", b"Not such a file.\n" * 40),
        ("a folder", None),
        ("vanished", None),
    ):
        copy = path.parent / kind / path.name
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        if found is not None:
            copy.write_bytes(found)
        elif kind == "a folder":
            copy.mkdir()
        yield kind, copy


def find_unnamed(path, read, *, state=None, remedy="."):
    """Returns how `read(path)` errs for damaged copies, other than it should.

    A vanished file is a FileNotFoundError, all others are a ValueError; both
    name the path and the remedy, and leave `state()` as it was.
    """
    wrong = []
    for kind, copy in damage(path):
        before = state() if state else None
        expected = FileNotFoundError if kind == "vanished" else ValueError
        try:
            read(copy)
        except expected as error:
            text = str(error)
            if str(copy) not in text or remedy not in text:
                wrong.append(f"{kind}: does not name path and remedy: {text}")
        except Exception as error:
            wrong.append(f"{kind}: {type(error).__name__}: {error}")
        else:
            wrong.append(f"{kind}: was read")
        if state and state() != before:
            wrong.append(f"{kind}: has changed what it was read for")
    return wrong
