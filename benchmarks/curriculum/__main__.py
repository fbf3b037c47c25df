"""Runs all curriculum benchmarks and renders the tables.

The backend is chosen when Keras is imported, so every part runs in its own
process. `--fresh` and `--limit` are passed to all parts; `--limit 1` is a
short trial of every part that writes nothing.
"""

import sys

from benchmarks.processes import render, run_part

PARTS = (
    ("noise", "jax"),
    ("copying", "jax"),
    ("rho", "jax"),
    ("warmup", "jax"),
    ("overhead", "jax"),
    ("overhead", "tensorflow"),
    ("overhead", "torch"),
)


def main() -> None:
    """Runs every part whose backend is installed."""
    for part, backend in PARTS:
        run_part(f"benchmarks.curriculum.{part}", backend, sys.argv[1:])
    render()


if __name__ == "__main__":
    main()
