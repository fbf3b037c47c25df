"""Differences between a run on several devices and one on a single device."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.distribution.distributions import KINDS
from benchmarks.distribution.piece import Arrays

ONE = "one device"


def file_of(folder: Path, kind: str, number: int, worker: int = 0) -> Path:
    """Returns where the results of a component are, without suffix."""
    return folder / kind.replace(" ", "_") / f"{number}_{worker}"


def compare(folder: Path, kind: str, number: int) -> dict[str, Any] | None:
    """Returns the row of one component, `None` if it was not run.

    The row holds the largest difference and its place, or "refused" with the
    error. Of several workers it is the worst one.
    """
    backend, workers, _ = KINDS[kind]
    alone = _read(file_of(folder, f"one {backend}", number))
    rows = []
    for worker in range(workers):
        found = _read(file_of(folder, kind, number, worker))
        if alone is None or found is None:
            return None
        if isinstance(alone, str):
            return {"failed": f"on one device: {alone}"}
        if isinstance(found, str):
            word = "refused" if found.startswith("ValueError") else "failed"
            return {word: found.partition(": ")[2]}
        rows.append(_differ(alone, found))
    failed = [row for row in rows if "failed" in row]
    return failed[0] if failed else max(rows, key=lambda row: row["difference"])


def _read(path: Path) -> Arrays | str | None:
    error, arrays = path.with_suffix(".txt"), path.with_suffix(".npz")
    if error.exists():
        return error.read_text()
    if not arrays.exists():
        return None
    with np.load(arrays) as file:
        return dict(file)


def _differ(alone: Arrays, found: Arrays) -> dict[str, Any]:
    if set(alone) != set(found):
        return {"failed": f"other results: {sorted(set(alone) ^ set(found))}"}
    worst, where = 0.0, ""
    for name, value in alone.items():
        other = found[name]
        if value.shape != other.shape:
            return {"failed": f"{name}: {value.shape} and {other.shape}"}
        if not value.size:
            continue
        gap = np.abs(value.astype("float64") - other.astype("float64")).max()
        if not gap <= worst:  # NaN is the worst.
            worst, where = float(gap), name
    return {"difference": worst, "where": where}
