"""Runs all parts of the edge benchmark one after the other, then renders."""

import sys

from benchmarks.processes import render, run_part


def main() -> None:
    """Runs ladder, goals and budgets, each in its own process."""
    for part in ("ladder", "goals", "budgets"):
        run_part(f"benchmarks.edge.{part}", "tensorflow", sys.argv[1:])
    render()


if __name__ == "__main__":
    main()
