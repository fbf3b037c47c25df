"""Runs the benchmarks of adaptive depth, then renders the tables.

Keras chooses its backend at import, so every part runs in its own process.
`--fresh` and `--limit` are passed to all parts.
"""

import sys

from benchmarks.processes import render, run_part

PARTS = (
    ("early_exit", "tensorflow"),
    ("stochastic_depth", "jax"),
    ("step_time", "tensorflow"),
    ("step_time", "jax"),
    ("tokens", "jax"),
    ("tokens_time", "jax"),
    ("parity", "jax"),
    ("skip_gate", "jax"),
)


def main() -> None:
    """Passes the arguments to every part."""
    for part, backend in PARTS:
        run_part(f"benchmarks.adaptive_depth.{part}", backend, sys.argv[1:])
    render()


if __name__ == "__main__":
    main()
