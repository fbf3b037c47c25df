"""Differences between a run on several devices and one on a single device."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.distribution.distributions import KINDS
from benchmarks.distribution.piece import TRAINED, Arrays

ONE = "one device"
# The folders of an absolute path.
LONGEST = 300  # Characters of an error.
_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[\w.+~-]+/)+")


def file_of(folder: Path, kind: str, number: int, worker: int = 0) -> Path:
    """Returns where the results of a component are, without suffix."""
    return folder / kind.replace(" ", "_") / f"{number}_{worker}"


def compare(folder: Path, kind: str, number: int) -> dict[str, Any] | None:
    """Returns the row of one component, `None` if it was not run.

    The row holds the largest difference and its place, or the error: under
    "refused" if it is a `ValueError` before a training batch has ended, in the
    form of this package's errors, else under "failed". Of several workers it
    is the worst one. The first component is a plain `fit`, which Keras itself
    may refuse in its words.
    """
    backend, workers, _ = KINDS[kind]
    alone = _read(file_of(folder, f"one {backend}", number))
    rows = []
    for worker in range(workers):
        found = _read(file_of(folder, kind, number, worker))
        if alone is None or found is None:
            return None
        if isinstance(alone, _Error):
            return {"failed": f"on one device: {alone.text}"}
        if isinstance(found, _Error):
            is_refusal = found.is_early and (found.is_ours or not number)
            word = "refused" if is_refusal else "failed"
            rows.append({word: found.text})
        else:
            rows.append(_differ(alone, found))
    for word in ("failed", "refused"):
        for row in rows:
            if word in row:
                return row
    return max(rows, key=lambda row: _rank(row["difference"]))


@dataclass(frozen=True)
class _Error:
    text: str
    is_early: bool
    is_ours: bool


def _read(path: Path) -> Arrays | _Error | None:
    error, arrays = path.with_suffix(".json"), path.with_suffix(".npz")
    if error.exists():
        found = json.loads(error.read_text())
        is_early = found["error"] == "ValueError" and not found[TRAINED]
        text = found["text"].replace(f"{path.parent}/", "")
        is_ours = "Received: " in text
        text = _FOLDERS.sub("", text)
        short = text[:LONGEST] + "…" * (len(text) > LONGEST)
        return _Error(short, is_early, is_ours)
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
        if _rank(gap) > _rank(worst):
            worst, where = float(gap), name
    return {"difference": worst, "where": where}


def _rank(gap: float) -> float:
    """Returns the difference; NaN is the worst."""
    return float("inf") if np.isnan(gap) else float(gap)
