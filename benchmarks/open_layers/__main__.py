"""Edits a tiny model of each family of keras_hub, one process each.

    python -m benchmarks.open_layers
    python -m benchmarks.open_layers --families Bert Llama --backends jax

Rows that are in the JSON already are not measured again; `--fresh` starts
over, `--again` measures the named families again. All families on two
backends take about an hour on 2 cores.
"""

import argparse
import json
import os
import subprocess
import sys

NAME = "open_layers"
BACKENDS = ("tensorflow", "jax")
SECONDS = 900


def main() -> None:
    """Measures what is missing, then renders the tables."""
    os.environ.update(
        {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    from benchmarks import hub_families
    from benchmarks.open_layers import tables
    from benchmarks.records import Records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--families", nargs="+", default=list(hub_families.names())
    )
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS))
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    records = Records(
        NAME, {"share": 0.5, "factor": 1.5}, fresh=arguments.fresh
    )
    for family in arguments.families:
        for backend in arguments.backends:
            key = {"family": family, "backend": backend}
            if records.find(**key) is not None:
                if not arguments.again:
                    continue
                records.rows.remove(records.find(**key))
            row = {**key, **_measure(family, backend)}
            records.add(row)
            print(family, backend, tables.verdict(row), flush=True)
    subprocess.run([sys.executable, "-m", "benchmarks.render"], check=True)


def _measure(family: str, backend: str) -> dict:
    module = "benchmarks.open_layers.measure"
    command = [sys.executable, "-m", module, family]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"took more than {SECONDS} seconds"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:300]}
    row: dict = json.loads(done.stdout.splitlines()[-1])
    return row


if __name__ == "__main__":
    main()
