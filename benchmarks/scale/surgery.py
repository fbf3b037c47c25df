"""Memory of edits of large networks, each in a process of its own.

Run with `python -m benchmarks.scale.surgery`. The cases with 100 million
weights come last; one of them runs at a time.
"""

import argparse
import importlib.util

from benchmarks.records import Records
from benchmarks.scale import surgery_case
from benchmarks.scale.peak_memory import measure_in_child

NAME = "scale_surgery"
BACKENDS = ("tensorflow", "jax", "torch")
MILLIONS = 50
LARGE = 100
CASES = (
    ("prune_channels", "deep", "adam"),
    ("growing", "deep", "adam"),
    ("widen", "deep", "adam"),
    ("growing", "deep", "sgd"),
    ("growing", "wide", "adam"),
    ("prune_channels", "wide", "adam"),
    ("widen", "wide", "adam"),
    ("plain_fit", "deep", "adam"),
)
LARGE_CASES = (("prune_channels", "deep", "adam"), ("growing", "deep", "adam"))
SETTINGS = {
    "sparsity": surgery_case.SPARSITY,
    "factor": surgery_case.FACTOR,
    "batch": surgery_case.BATCH,
    "millions": [MILLIONS, LARGE],
}


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for millions, cases in ((MILLIONS, CASES), (LARGE, LARGE_CASES)):
        if millions > options.millions:
            continue
        for case in cases:
            for backend in options.backends:
                if importlib.util.find_spec(backend) is not None:
                    _measure(records, backend, millions, case)


def _measure(
    records: Records, backend: str, millions: int, case: tuple[str, str, str]
) -> None:
    operation, kind, optimizer = case
    key = {
        "backend": backend,
        "millions": millions,
        "operation": operation,
        "net": kind,
        "optimizer": optimizer,
    }
    if records.find(**key):
        return
    row = measure_in_child(
        "benchmarks.scale.surgery_case",
        backend,
        [operation, kind, optimizer, str(millions)],
    )
    print(key, row, flush=True)
    if "failed" not in row:
        records.add({**key, **row})


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--millions", type=int, default=LARGE)
    parser.add_argument("--backends", nargs="*", default=list(BACKENDS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
