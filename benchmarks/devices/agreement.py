"""Compares training with and without XLA, on the backend of `KERAS_BACKEND`.

Run with `python -m benchmarks.devices.agreement`. Every case trains twice
from the same weights on the same batches, with `jit_compile=True` and
`jit_compile=False`.
"""

import argparse
import contextlib

import keras

from benchmarks.devices import train
from benchmarks.records import Records


def main() -> None:
    """Trains every case with and without XLA."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--cases", nargs="+", help="names; all by default")
    options = parser.parse_args()
    records = None
    if not options.small:
        name = f"devices_agreement_{keras.backend.backend()}"
        records = Records(name, {}, fresh=options.fresh)
    for component, name, fit in train.cases(options.small):
        if options.cases and name not in options.cases:
            continue
        if records is not None and records.find(case=name) is not None:
            continue
        row = train.compare(
            fit,
            (contextlib.nullcontext(), {"jit_compile": True}),
            (contextlib.nullcontext(), {"jit_compile": False}),
        )
        print(f"{name}: {row}", flush=True)
        if records is not None:
            records.add({"component": component, "case": name, **row})
        elif "failed" in row:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
