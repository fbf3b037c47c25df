"""Counts kills and what they leave, and judges how runs end."""

import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.crashes.child import Outcome

_META = "checkpoint meta"
_REMEDY = re.compile(r"[Dd]elete the (?:folder|file) '([^']+)'")


class Judge:
    """What happened in the runs of one case.

    A run is "lost" if it cannot be ended by starting it again, or ends with
    another result than the run without interruptions. It is "unexplained" if
    a start raises an error that does not say what to delete, or if the
    result differs and no warning has said so.
    """

    def __init__(self) -> None:
        self.runs = self.kills = self.torn = self.starts = 0
        self.lost = self.unexplained = self.remedies = 0
        self.moments: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self.details: list[str] = []
        self._told: set[str] = set()
        self._errors: list[str] = []

    def note(self, outcome: Outcome, folder: Path) -> None:
        """Counts a start, and the files that its kill has torn."""
        self.starts += 1
        for text in outcome.warnings:
            self.warnings[text] += 1
            self._told.add(text)
        if outcome.killed is not None:
            self.kills += 1
            self.moments[_without_random(json.loads(outcome.killed))] += 1
            self.torn += has_torn_file(folder)

    def follow_remedy(self, error: str, folder: Path) -> bool:
        """Deletes what an error says; returns whether it says anything."""
        text = error.strip().splitlines()[-1]
        self._errors.append(text)
        found = _REMEDY.search(text)
        path = folder / found[1] if found else folder
        if not path.exists() or folder.resolve() not in path.resolve().parents:
            return False
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        self.remedies += 1
        return True

    def compare(self, path: Path, expected: dict[str, np.ndarray]) -> None:
        """Judges the end of a run by its result."""
        self.runs += 1
        if not path.exists():
            self.lost += 1
            self.unexplained += 1
            self.details += self._errors[-1:]
        else:
            with np.load(path) as file:
                found = dict(file)
            wrong = find_difference(expected, found)
            if wrong:
                self.lost += 1
                told = [t for t in self._told if "BackupAndRestore" in t]
                self.unexplained += not told
                self.details.append(wrong)
        self._told, self._errors = set(), []

    def row(self) -> dict[str, Any]:
        """Returns the counts."""
        return {
            "runs": self.runs,
            "kills": self.kills,
            "torn": self.torn,
            "starts": self.starts,
            "remedies": self.remedies,
            "lost": self.lost,
            "unexplained": self.unexplained,
            "details": self.details,
            "moments": dict(self.moments),
            "warnings": dict(self.warnings),
        }


def find_difference(
    expected: dict[str, np.ndarray], found: dict[str, np.ndarray]
) -> str:
    """Says what differs, "" if nothing does."""
    if list(expected) != list(found):
        return f"names: {sorted(set(expected) ^ set(found))[:5]}"
    wrong = [
        name
        for name in expected
        if not np.array_equal(expected[name], found[name], equal_nan=True)
    ]
    if not wrong:
        return ""
    text = f"{len(wrong)} of {len(expected)} arrays: {wrong[:5]}"
    if wrong == [_META]:
        text += f", {_difference_of_values(expected[_META], found[_META])}"
    return text


def _difference_of_values(*metas: np.ndarray) -> list[tuple[str, Any, Any]]:
    """Lists the values of callbacks that differ."""
    first, second = (
        {
            f"{name}.{key}": value
            for name, state in json.loads(meta.tobytes()).items()
            for key, value in state["values"].items()
        }
        for meta in metas
    )
    names = sorted({*first, *second})
    return [
        (name, first.get(name), second.get(name))
        for name in names
        if first.get(name) != second.get(name)
    ]


def has_torn_file(folder: Path) -> bool:
    """Whether an HDF5, Keras or JSON file in a folder cannot be read."""
    return any(_is_torn(path) for path in folder.rglob("*") if path.is_file())


def _is_torn(path: Path) -> bool:
    name = path.name.removesuffix(".bkp")
    try:
        if name.endswith(".h5"):
            h5py.File(path).close()
        elif name.endswith(".json"):
            json.loads(path.read_text())
        elif name.endswith(".keras"):
            zipfile.ZipFile(path).close()
    except (OSError, ValueError, zipfile.BadZipFile):
        return True
    return False


def _without_random(event: str) -> str:
    """Without the numbers in the name of a partial file."""
    return re.sub(r"\.partial-[0-9a-f]+-\d+-[0-9a-f]+-", "partial ", event)
