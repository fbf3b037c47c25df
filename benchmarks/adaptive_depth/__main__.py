"""Runs the benchmarks of adaptive depth, then renders the tables.

The backend is chosen when Keras is imported, so every part runs in its own
process. `--fresh` and `--limit` are passed on to all parts.
"""

import os
import subprocess
import sys

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
    """Passes its arguments on to the measurements."""
    for part, backend in PARTS:
        _run(f"benchmarks.adaptive_depth.{part}", backend, sys.argv[1:])
    _run("benchmarks.render", "tensorflow", [])


def _run(module: str, backend: str, arguments: list[str]) -> None:
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, "-m", module, *arguments]
    subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
