"""Runs the distillation benchmark, then renders the tables."""

import sys

from benchmarks.processes import render, run_part


def main() -> None:
    """Passes its arguments on to the measurement."""
    run_part("benchmarks.distillation.accuracy", "tensorflow", sys.argv[1:])
    render()


if __name__ == "__main__":
    main()
