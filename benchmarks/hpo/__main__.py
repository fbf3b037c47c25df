"""Runs the benchmarks of hyperparameter search, then the tables."""

import sys

from benchmarks.processes import render, run_part

PARTS = (
    ("tabular", "tensorflow"),
    ("multi_objective", "jax"),
    ("training", "torch"),
    ("stopping", "jax"),
    ("many_trials", "jax"),
    ("tuner_cost", "jax"),
    ("confirm", "jax"),
    ("fidelity", "jax"),
    ("fidelity_cost", "jax"),
)


def main() -> None:
    """Runs every part; arguments are passed on."""
    for part, backend in PARTS:
        module = f"benchmarks.hpo.{part}"
        run_part(module, backend, sys.argv[1:], OMP_NUM_THREADS="1")
    render()


if __name__ == "__main__":
    main()
