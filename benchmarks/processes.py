"""Each part of a benchmark in its own process: Keras has one backend each."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

SECONDS = 900  # Of one measurement.


def run_part(
    module: str, backend: str, arguments: Sequence[str] = (), **others: str
) -> None:
    """Runs a module with a backend, if that is installed.

    Args:
        module: What follows `python -m`.
        backend: Of Keras.
        arguments: Of the command line.
        **others: Further variables of the environment.

    Raises:
        subprocess.CalledProcessError: If it fails.
    """
    if importlib.util.find_spec(backend) is None:
        print(f"{module}: skipped, {backend} is not installed", flush=True)
        return
    print(f"== {module} on {backend}", flush=True)
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **others,
    }
    command = [sys.executable, "-m", module, *arguments]
    subprocess.run(command, env=environment, check=True)


def measure_part(
    module: str, backend: str, arguments: Sequence[str], **others: str
) -> Any:
    """Runs a module that prints a result as JSON in its last line.

    The arguments are those of `run_part`. Returns the result, or a dict with
    the reason under "failed".
    """
    environment = {**os.environ, "KERAS_BACKEND": backend, **others}
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"took more than {SECONDS} seconds"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:300]}
    return json.loads(done.stdout.splitlines()[-1])


def render() -> None:
    """Writes the tables."""
    run_part("benchmarks.render", "tensorflow")
