"""Runs all pruning benchmarks one after the other, then renders the tables.

The backend is chosen when Keras is imported, so every part runs in its own
process. Arguments are passed on to the accuracy benchmark; `--fresh` to all.
"""

import importlib.util
import os
import subprocess
import sys

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
        if importlib.util.find_spec(backend) is None:
            print(f"{part} on {backend}: skipped, {backend} is not installed")
            continue
        arguments = sys.argv[1:] if part == "accuracy" else fresh
        _run(f"benchmarks.pruning.{part}", backend, arguments)
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
