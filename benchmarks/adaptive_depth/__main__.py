"""Runs the benchmarks of adaptive depth, then renders the tables."""

import os
import subprocess
import sys


def main() -> None:
    """Passes its arguments on to the measurement."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    for module, arguments in (
        ("benchmarks.adaptive_depth.early_exit", sys.argv[1:]),
        ("benchmarks.render", []),
    ):
        command = [sys.executable, "-m", module, *arguments]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
