"""Runs the benchmarks of learning rates and of stopping, then the tables."""

import os
import subprocess
import sys

PARTS = (
    ("stopping", ("--seeds", "5")),
    ("finder", ()),
)


def main() -> None:
    """Runs every part; arguments are passed on."""
    for part, own in PARTS:
        module = f"benchmarks.learning_rate.{part}"
        _run(module, "torch", [*own, *sys.argv[1:]])
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
