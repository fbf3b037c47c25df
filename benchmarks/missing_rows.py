"""The main loop of a benchmark with arms and seeds."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.records import Records

Train = Callable[[str, int, int], dict[str, Any]]


def measure_missing(
    name: str,
    settings: Mapping[str, Any],
    arms: Iterable[str],
    train: Train,
    length: int,
) -> None:
    """Reads the command line and measures every row that is not there yet.

    Args:
        name: Name of the results file.
        settings: What was measured.
        arms: Names of the arms.
        train: Called with arm, seed and length; returns a row.
        length: Length of a whole training, in what `train` counts; `--limit`
            tries every arm with another one and writes nothing.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=list(arms))
    options = parser.parse_args()
    if options.limit:
        for arm in options.arms:
            print(arm, train(arm, 0, options.limit))
        return
    records = Records(name, settings, fresh=options.fresh)
    for seed in range(options.seeds):
        for arm in options.arms:
            if not records.find(arm=arm, seed=seed):
                row = train(arm, seed, length)
                records.add({"arm": arm, "seed": seed, **row})
                print(arm, seed, row, flush=True)
