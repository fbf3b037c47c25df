"""Runs the benchmarks of learning rates and early stopping."""

import sys

from benchmarks.processes import render, run_part

PARTS = (
    ("stopping", ("--seeds", "5")),
    ("finder", ()),
)


def main() -> None:
    """Runs every part; arguments are passed on."""
    for part, own in PARTS:
        module = f"benchmarks.learning_rate.{part}"
        arguments = [*own, *sys.argv[1:]]
        run_part(module, "torch", arguments, OMP_NUM_THREADS="1")
    render()


if __name__ == "__main__":
    main()
