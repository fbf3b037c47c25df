"""Which sources the runs in a folder belong to."""

import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("keras_netopt", "callbacks", "layers", "benchmarks/distribution")


def hash_sources() -> str:
    """Returns a number of the package and this benchmark, in hexadecimal."""
    found = hashlib.sha256()
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.update(str(path.relative_to(ROOT)).encode())
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def read_stamp(folder: Path) -> str | None:
    """Returns the number of the sources that the runs belong to, if known."""
    path = folder / "sources"
    return path.read_text() if path.exists() else None


def stamp(folder: Path) -> None:
    """Names the present sources in an empty folder; checks a used one.

    Raises:
        ValueError: If the folder has runs of other sources.
    """
    found, present = read_stamp(folder), hash_sources()
    if found is None and not any(folder.rglob("*.npz")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sources").write_text(present)
    elif found != present:
        raise ValueError(
            "The folder must be empty or have runs of the present sources. "
            f"Received: folder={str(folder)!r} with sources={found!r}, now "
            f"{present!r}. Delete the folder or name another"
        )
