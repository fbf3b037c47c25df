"""Kills fits and searches on each backend: `python -m benchmarks.crashes`."""

from benchmarks.processes import render, run_part

for backend in ("tensorflow", "jax", "torch"):
    for part in ("fits", "searches"):
        run_part(f"benchmarks.crashes.{part}", backend)
render()
