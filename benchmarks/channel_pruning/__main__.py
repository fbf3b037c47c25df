"""Runs the channel pruning benchmark, then renders the tables."""

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
        ("benchmarks.channel_pruning.accuracy", sys.argv[1:]),
        ("benchmarks.render", []),
    ):
        command = [sys.executable, "-m", module, *arguments]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
