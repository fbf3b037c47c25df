"""Runs the growing benchmarks one after the other, then renders the tables."""

import sys

from benchmarks.processes import render, run_part

PARTS = ("new_units", "compute", "slots")


def main() -> None:
    """Runs every part on TensorFlow; `--seeds` and `--fresh` are passed on."""
    for part in PARTS:
        arguments = [] if part == "slots" else sys.argv[1:]
        run_part(f"benchmarks.growing.{part}", "tensorflow", arguments)
    render()


if __name__ == "__main__":
    main()
