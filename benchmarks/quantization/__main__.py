"""Runs all quantization benchmarks one after the other, then renders.

The backend is chosen when Keras is imported, so every part runs in its own
process. Arguments are passed on to the accuracy benchmark; `--fresh` to all.
"""

import sys

from benchmarks.processes import render, run_part

PARTS = (
    ("accuracy", "tensorflow"),
    ("overhead", "tensorflow"),
    ("overhead", "jax"),
    ("overhead", "torch"),
)


def main() -> None:
    """Runs accuracy, overhead on each installed backend, and render."""
    fresh = [a for a in sys.argv[1:] if a == "--fresh"]
    for part, backend in PARTS:
        arguments = sys.argv[1:] if part == "accuracy" else fresh
        run_part(f"benchmarks.quantization.{part}", backend, arguments)
    render()


if __name__ == "__main__":
    main()
