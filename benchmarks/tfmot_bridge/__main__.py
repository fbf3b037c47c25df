"""Runs the benchmark of tfmot on Keras 3 models, then renders."""

import sys

from benchmarks.processes import render, run_part


def main() -> None:
    """Runs all arms on TensorFlow, and render."""
    run_part("benchmarks.tfmot_bridge.accuracy", "tensorflow", sys.argv[1:])
    render()


if __name__ == "__main__":
    main()
