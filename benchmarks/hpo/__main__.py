"""Runs the benchmarks of hyperparameter search, then the tables."""

import os
import subprocess
import sys

PARTS = ("tabular",)


def main() -> None:
    """Runs every part; arguments are passed on."""
    for part in PARTS:
        _run(f"benchmarks.hpo.{part}", sys.argv[1:])
    _run("benchmarks.render", [])


def _run(module: str, arguments: list[str]) -> None:
    print(f"== {module}", flush=True)
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
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
