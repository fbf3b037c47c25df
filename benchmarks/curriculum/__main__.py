"""Runs the curriculum benchmarks one after the other, then the tables.

The backend is chosen when Keras is imported, so every part runs in its own
process. `--fresh` and `--limit` are passed on to all parts; `--limit 1` tries
every part in miniature and writes nothing.
"""

import importlib.util
import os
import subprocess
import sys

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
        if importlib.util.find_spec(backend) is None:
            print(f"{part} on {backend}: skipped, {backend} is not installed")
            continue
        _run(f"benchmarks.curriculum.{part}", backend, sys.argv[1:])
    _run("benchmarks.render", "tensorflow", [])


def _run(module: str, backend: str, arguments: list[str]) -> None:
    print(f"== {module} on {backend}", flush=True)
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        check=True,
    )


if __name__ == "__main__":
    main()
