"""Cuts every model of `keras.applications` in half, one process a model.

    python -m benchmarks.applications
    python -m benchmarks.applications --models ResNet50 VGG16

Models that are in the JSON already are not measured again; `--fresh` starts
over. The 40 models take some hours on 2 cores.
"""

import argparse
import json
import os
import subprocess
import sys

NAME = "applications"
ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}


def main() -> None:
    """Measures what is missing, then renders the tables."""
    os.environ.update(ENVIRONMENT)
    from benchmarks.applications import models
    from benchmarks.applications.tables import is_exact
    from benchmarks.records import Records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=models.names())
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    settings = {
        "share": 0.5,
        "samples": models.SAMPLES,
        "classes": models.CLASSES,
    }
    records = Records(NAME, settings, fresh=arguments.fresh)
    failed = []
    for name in arguments.models:
        if records.find(model=name) is not None:
            continue
        row = _measure(name)
        if row is None:
            failed.append(name)
            continue
        if not is_exact(row):
            row |= _measure(name, "--float64") or {}
        records.add(row)
        ratio = row["params"][0] / row["params"][1]
        print(
            f"{name}: {ratio:.2f} times smaller, difference "
            f"{row['difference']:.1e} of {row['largest']:.2f}",
            flush=True,
        )
    subprocess.run([sys.executable, "-m", "benchmarks.render"], check=True)
    if failed:
        sys.exit(f"Not measured: {', '.join(failed)}")


def _measure(*arguments: str) -> dict | None:
    module = "benchmarks.applications.measure"
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{arguments[0]}: failed\n{done.stderr[-2000:]}", flush=True)
        return None
    row: dict = json.loads(done.stdout.splitlines()[-1])
    return row


if __name__ == "__main__":
    main()
