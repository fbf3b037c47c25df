"""Trains every component on several devices and on one, and compares.

    python -m benchmarks.distribution
    python -m benchmarks.distribution --jobs 2 --folder runs
    python -m benchmarks.distribution --collect --folder runs

Runs that are in the folder already are not made again, so an interrupted
command goes on; a folder with runs of other sources is refused. All of them
take about 15 CPU minutes. With `--collect` nothing is run or rendered: the
results are those of the runs in the folder, the others are "not run".
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.processes import render, run_part

CELLS = "benchmarks.distribution.cells"
# Four devices on the CPU; optimizing the program takes longer than running it.
FLAGS = (
    "--xla_force_host_platform_device_count=4 "
    "--xla_backend_optimization_level=0 --xla_cpu_multi_thread_eigen=false"
)


def main() -> None:
    """Runs what is missing, then writes and renders the table."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(tempfile.gettempdir()) / "netopt_distribution"
    parser.add_argument("--folder", type=Path, default=default)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--collect", action="store_true")
    given = parser.parse_args()
    if given.collect:
        write(given.folder)
        return
    for backend in ("tensorflow", "jax"):
        arguments = [backend, str(given.folder), "--jobs", str(given.jobs)]
        run_part(CELLS, backend, arguments, XLA_FLAGS=FLAGS)
    write(given.folder)
    render()


def write(folder: Path) -> None:
    """Writes a row per component and kind of distribution."""
    from benchmarks.distribution.compare import ONE, compare
    from benchmarks.distribution.distributions import KINDS
    from benchmarks.distribution.piece import BATCH, SAMPLES
    from benchmarks.distribution.pieces import PIECES
    from benchmarks.distribution.sources import read_stamp
    from benchmarks.records import Records

    settings = {
        "samples": SAMPLES,
        "batch": BATCH,
        "sources": read_stamp(folder),
    }
    records = Records("distribution", settings, fresh=True)
    # Keras itself may refuse a kind; the first component is a plain `fit`.
    plain = {kind: compare(folder, kind, 0) or {} for kind in KINDS}
    for number, piece in enumerate(PIECES):
        for kind, (_, _, title) in KINDS.items():
            if title == ONE:
                continue
            row = compare(folder, kind, number)
            if "refused" in plain[kind]:
                row = plain[kind]
            # A row without a result says that it was not run.
            records.add({"piece": piece.name, "kind": title, **(row or {})})


if __name__ == "__main__":
    main()
