"""Measured rows in a JSON file, written after every row."""

import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "keras-netopt",
    "keras",
    "keras-hub",
    "tensorflow",
    "jax",
    "torch",
    "tf_keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "tflite-micro",
    "numpy",
)

Row = dict[str, Any]


class Records:
    """Rows of one benchmark, kept in one JSON file.

    A row that is already in the file is not measured again, so a benchmark
    that was interrupted goes on where it stopped. Every row names the run
    (date, command, environment) that measured it.

    Args:
        name: Name of the file below `benchmarks/results`, without suffix.
        settings: What was measured; written to the file. Rows measured under
            other settings are dropped.
        fresh: Whether to drop the rows that are there. Defaults to `False`.
    """

    def __init__(
        self, name: str, settings: Mapping[str, Any], *, fresh: bool = False
    ) -> None:
        self.path = RESULTS / f"{name}.json"
        self.settings = json.loads(json.dumps(settings))
        old = load(name) if self.path.exists() and not fresh else {}
        if old.get("settings") != self.settings:
            old = {}
        self.runs: list[Row] = old.get("runs", [])
        self.rows: list[Row] = old.get("rows", [])
        self._run = _describe_run()

    def find(self, **key: object) -> Row | None:
        """Returns the row with these values, `None` where there is none."""
        for row in self.rows:
            if all(row.get(name) == value for name, value in key.items()):
                return row
        return None

    def add(self, row: Row) -> None:
        """Adds one row and writes the file."""
        if self._run not in self.runs:
            self.runs.append(self._run)
        self.rows.append({**row, "run": self.runs.index(self._run)})
        self.path.parent.mkdir(exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(self._text())
        os.replace(partial, self.path)

    def _text(self) -> str:
        rows = ",\n    ".join(json.dumps(row) for row in self.rows)
        head = json.dumps(
            {"settings": self.settings, "runs": self.runs}, indent=2
        )
        return f'{head[:-2]},\n  "rows": [\n    {rows}\n  ]\n}}\n'


def load(name: str) -> Row:
    """Returns the content of a results file: settings, runs and rows."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def _describe_run() -> Row:
    module = getattr(sys.modules["__main__"], "__spec__", None)
    name = module.name if module else "?"
    # Folders of one machine tell nobody anything.
    given = [Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:]]
    now = datetime.datetime.now(datetime.UTC)
    return {
        "date": now.isoformat(timespec="minutes"),
        "command": " ".join(["python -m", name, *given]),
        "environment": environment(),
    }


def environment() -> Row:
    """Returns versions of Python and the packages, processor and backend."""
    import keras

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "backend": keras.backend.backend(),
        **versions,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
