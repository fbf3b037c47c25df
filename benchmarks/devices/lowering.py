"""Lowers what JAX compiles in training for TPU and CUDA, without a device.

Run with `python -m benchmarks.devices.lowering`, with JAX.
"""

import argparse

from benchmarks.devices import train
from benchmarks.records import Records

NAME = "devices_lowering"


def main() -> None:
    """Trains every case and lowers each function for its arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    cases = list(train.cases(options.small))
    from contract.lowering import PLATFORMS, lowered

    settings = {"platforms": list(PLATFORMS)}
    records = None
    if not options.small:
        records = Records(NAME, settings, fresh=options.fresh)
    for component, name, fit in cases:
        if records is not None and records.find(case=name) is not None:
            continue
        with lowered() as found:
            train.train(fit)
        row = {
            "component": component,
            "case": name,
            "lowered": len(found.steps),
            "failures": found.failures,
        }
        print(f"{name}: {row['lowered']} lowered, {found.failures}", flush=True)
        if records is not None:
            records.add(row)
        elif found.failures or not found.steps:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
