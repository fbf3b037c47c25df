"""Trains every case on the device and on the CPU, and compares.

Run with `python -m benchmarks.devices.correctness --device gpu:0`, on the
backend of `KERAS_BACKEND`. Both trainings start from the same weights.
"""

import argparse
import contextlib
from typing import Any

import keras

from benchmarks.devices import train
from benchmarks.records import Records


def main() -> None:
    """Trains every case twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="gpu:0")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    check_device(options.device)
    records = None
    if not options.small:
        name = f"devices_correctness_{keras.backend.backend()}"
        settings = {"device": describe(options.device)}
        records = Records(name, settings, fresh=options.fresh)
    for component, name, fit in train.cases(options.small):
        if records is not None and records.find(case=name) is not None:
            continue
        row = train.compare(
            fit,
            (keras.device(options.device), {}),
            (keras.device("cpu:0"), {}),
        )
        print(f"{name}: {row}", flush=True)
        if records is not None:
            records.add({"component": component, "case": name, **row})
        elif "failed" in row:
            raise SystemExit(1)


def check_device(name: str) -> None:
    """Raises an error if the backend has no such device."""
    kind, _, number = name.partition(":")
    found = _count(kind)
    if int(number or 0) >= found:
        raise SystemExit(
            f"The {keras.backend.backend()} backend must have the device. "
            f"Received: --device {name}, where it has {found} of kind "
            f"{kind!r}. Remedy: install its build for the device, or pass "
            "`--device cpu:0` to try the script."
        )


def describe(name: str) -> str:
    """Returns the name of the hardware."""
    kind = name.partition(":")[0]
    if kind == "cpu":
        return "cpu"
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return str(jax.devices(kind)[0].device_kind)
    if backend == "torch":
        import torch

        return str(torch.cuda.get_device_name(0))
    import tensorflow as tf

    device = tf.config.list_physical_devices("GPU")[0]
    details: Any = tf.config.experimental.get_device_details(device)
    return str(details.get("device_name", kind))


def _count(kind: str) -> int:
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        with contextlib.suppress(RuntimeError):
            return len(jax.devices(kind))
        return 0
    if backend == "torch":
        import torch

        return 1 if kind == "cpu" else torch.cuda.device_count()
    import tensorflow as tf

    return len(tf.config.list_physical_devices(kind.upper()))


if __name__ == "__main__":
    main()
