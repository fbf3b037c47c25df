"""Runs the growing benchmarks one after the other, then renders the tables."""

import os
import subprocess
import sys

PARTS = ("new_units", "compute", "slots")


def main() -> None:
    """Runs every part on TensorFlow; `--seeds` and `--fresh` are passed on."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    commands = [
        [f"benchmarks.growing.{part}", *sys.argv[1:]]
        if part != "slots"
        else [f"benchmarks.growing.{part}"]
        for part in PARTS
    ]
    for command in [*commands, ["benchmarks.render"]]:
        print("==", *command, flush=True)
        subprocess.run(
            [sys.executable, "-m", *command], env=environment, check=True
        )


if __name__ == "__main__":
    main()
