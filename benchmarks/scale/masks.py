"""Mask updates of a large network, today and before they went layer by layer.

Run with `python -m benchmarks.scale.masks`, in a clone of the repository: the
earlier version is the commit `BEFORE`. Both versions take turns, each
measurement in a process of its own; the masks must be equal.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.processes import measure_part
from benchmarks.records import Records
from benchmarks.scale.peak_memory import measure_in_child

NAME = "scale_masks"
CASE = "benchmarks.scale.mask_case"
BEFORE = "3d9b4d4"
BACKENDS = ("tensorflow", "jax", "torch")
ALLOCATIONS = ("global", "uniform")
MILLIONS = 50
ROUNDS = 3
SETTINGS = {
    "before": BEFORE,
    "millions": MILLIONS,
    "optimizer": "Adam",
    "rounds": ROUNDS,
}
ROOT = Path(__file__).parents[2]


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="start anew")
    parser.add_argument("--dry", action="store_true", help="a small trial")
    options = parser.parse_args()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    with tempfile.TemporaryDirectory() as folder:
        _check_out(folder)
        trees = {"now": str(ROOT), "before": folder}
        for turn in range(1 if options.dry else ROUNDS):
            for allocation in ALLOCATIONS:
                for backend in BACKENDS:
                    for version, tree in trees.items():
                        key = {
                            "backend": backend,
                            "allocation": allocation,
                            "version": version,
                            "round": turn,
                        }
                        if options.dry or records.find(**key) is None:
                            millions = 10 if options.dry else MILLIONS
                            row = _measure(
                                backend, [tree, allocation, str(millions)]
                            )
                            print(key, row, flush=True)
                            if not options.dry and "failed" not in row:
                                records.add({**key, **row})


def _measure(backend: str, arguments: list[str]) -> dict[str, Any]:
    """Measures memory and CPU time in two processes.

    The allocator that shows the peak gives each freed array back to the
    system, which takes time that training does not spend.
    """
    memory = measure_in_child(CASE, backend, arguments)
    times = measure_part(CASE, backend, arguments)
    for row in (memory, times):
        if "failed" in row:
            return row
    found = {k: v for k, v in memory.items() if not k.endswith("cpu")}
    return {**found, **{k: v for k, v in times.items() if k.endswith("cpu")}}


def _check_out(folder: str) -> None:
    """Writes the files of the earlier commit into a folder."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", BEFORE],
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "x", "-C", folder], input=archive.stdout, check=True)


if __name__ == "__main__":
    main()
