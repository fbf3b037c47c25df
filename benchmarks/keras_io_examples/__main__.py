"""Runs examples of keras.io with callbacks appended, one process each.

    python -m benchmarks.keras_io_examples --examples keras-io/examples
    python -m benchmarks.keras_io_examples --examples ... --only vision/cct

The folder is that of a checkout of keras.io, with the examples of Keras 3.
Rows that are in the JSON already are not measured again; `--fresh` starts
over, `--again` measures the named examples again. Needs pandas and tqdm.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from benchmarks.processes import measure_part, render

NAME = "keras_io_examples"
BACKENDS = ("tensorflow", "jax")
MEASURE = "benchmarks.keras_io_examples.measure"
FAST_COMPILATION = "--xla_backend_optimization_level=0"


def main() -> None:
    """Measures what is missing, then renders the tables."""
    os.environ.update(
        {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    from benchmarks.keras_io_examples import tables
    from benchmarks.keras_io_examples.examples import EXAMPLES
    from benchmarks.records import Records

    paths = [example.path for example in EXAMPLES]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=paths, choices=paths)
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    records = Records(NAME, {}, fresh=arguments.fresh)
    lock = Lock()

    def measure(key: dict[str, str]) -> None:
        row = {**key, **_measure(arguments.examples, **key)}
        with lock:
            old = records.find(**key)
            if old is not None:
                records.rows.remove(old)
            records.add(row)
            print(*key.values(), tables.verdict(row), flush=True)

    keys = [
        {"example": path, "backend": backend}
        for path in arguments.only
        for backend in arguments.backends
        if arguments.again
        or records.find(example=path, backend=backend) is None
    ]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(measure, keys))
    render()


def _measure(folder: Path, example: str, backend: str) -> dict:
    arguments = [str(folder), example]
    found = measure_part(
        MEASURE, backend, arguments, XLA_FLAGS=FAST_COMPILATION
    )
    return found if "failed" in found else {"callbacks": found}


if __name__ == "__main__":
    main()
