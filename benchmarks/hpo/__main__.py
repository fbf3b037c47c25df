"""Runs the benchmarks of hyperparameter search, then the tables."""

import os
import subprocess
import sys

PARTS = (
    ("tabular", "tensorflow"),
    ("training", "torch"),
    ("stopping", "jax"),
)


def main() -> None:
    """Runs every part; arguments are passed on."""
    for part, backend in PARTS:
        _run(f"benchmarks.hpo.{part}", backend, sys.argv[1:])
    _run("benchmarks.render", "tensorflow", [])


def _run(module: str, backend: str, arguments: list[str]) -> None:
    print(f"== {module}", flush=True)
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        check=True,
    )


if __name__ == "__main__":
    main()
