"""Writes the parts of the docs that come from the code.

`python scripts/make_docs.py` writes docs/methods/README.md, `--check` checks
that it is current.
"""

import argparse
import sys
from pathlib import Path

from keras_netopt import callbacks, registry

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
TARGET = ROOT / "docs/methods/README.md"
TEXT = """<!-- Written by `make docs` from the registry and the callbacks. -->

# Methods

The main classes and functions, by their names below `keras_netopt`. A card
says how to use a method, which settings to start from, how it works, what was
measured, including what did not work, and where its limits are. Classes whose
objects are arguments of these have no row: schedules are in [points and
schedules](schedules.md), growth triggers and actions in [growing](growing.md),
difficulty scores and orderings in [curriculum](curriculum.md), constraints of
a search in [search tuner](search_tuner.md). The docstrings hold all arguments,
as in `help(netopt.callbacks.Pruning)`. [What the platform
does](../platform.md) tells where Keras, LiteRT and others behave differently
from what you may expect.

{table}

## Devices

Every function that JAX compiles while a component trains is lowered by
`jax.export` for TPU and CUDA, without a device. On TensorFlow the components
with an entry in the last column trained with `jit_compile=True` and with
`jit_compile=False`; the others were not run so. The table shows the number
of functions and the largest difference of a weight. Versions:
{versions}. `python -m benchmarks.device` repeats both, and compares a GPU with
the CPU on every backend; no GPU was at hand so far.

{devices}

## Keys in `logs`

The `logs` of each epoch, and with them the result of `fit` and loggers, hold
these values. A second callback of the same class in one `fit` call appends
`_1` to its keys. The model `depth.PonderModel` adds the metric
`expected_steps`, the mean expected number of steps per sample.

{keys}
"""


def key_table() -> str:
    """Returns the table of the keys that callbacks add to `logs`."""
    lines = ["| callback | key | meaning |", "| --- | --- | --- |"]
    for name in callbacks.__all__:
        for key, meaning in getattr(callbacks, name).log_keys.items():
            lines.append(f"| `callbacks.{name}` | `{key}` | {meaning} |")
    return "\n".join(lines)


def main() -> int:
    """Returns 0 unless `--check` finds the page out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    from benchmarks.devices import tables

    text = TEXT.format(
        table=registry.to_markdown(),
        keys=key_table(),
        devices=tables.support_table(),
        versions=tables.versions(),
    )
    if not check:
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_text(text, encoding="utf-8")
        return 0
    current = TARGET.exists() and TARGET.read_text(encoding="utf-8") == text
    if not current:
        print(f"{TARGET} is out of date. Remedy: make docs")
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
