"""Sixty trials on tables of trained networks: regret, seconds, CPU time.

Run with `python -m benchmarks.hpo.tabular`. Rows that are already in
`benchmarks/results/hpo_tabular.json` are kept; `--fresh` measures all,
`--limit 2` tries every arm with two seeds and writes nothing. A row holds a
block of seeds of one arm on one table.
"""

import argparse
import statistics
import warnings
from typing import Any

from benchmarks.hpo.arms import ARMS, TRIALS
from benchmarks.hpo.lookup import Lookup, load
from benchmarks.hpo.titles import NAMES
from benchmarks.records import Records

NAME = "hpo_tabular"
BLOCK = 10
SEEDS = {"protein": 100, "slice": 50, "cifar10": 50}
SLOW_ON = "protein"
AT = (25, 50, 60)
SETTINGS = {"trials": TRIALS, "at": AT, "block": BLOCK}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--tables", nargs="+", default=list(NAMES))
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for name in options.tables:
        table = load(name)
        for arm in options.arms:
            if options.limit:
                print(name, arm, measure(table, arm, 0, options.limit, None))
                continue
            for first in range(0, _seeds(name, arm), BLOCK):
                key = {"table": name, "arm": arm, "first": first}
                if not records.find(**key):
                    count = min(BLOCK, _seeds(name, arm) - first)
                    target = grid_target(records.rows, name)
                    row = measure(table, arm, first, count, target)
                    records.add({**key, **row})
                    print(key, row["regret"][-1], flush=True)


def _seeds(name: str, arm: str) -> int:
    most = ARMS[arm][1]
    if most is None:
        return SEEDS[name]
    return most if name == SLOW_ON else 0


def grid_target(rows: list[dict[str, Any]], name: str) -> float | None:
    """Returns the loss that the grid reaches in the median of its seeds."""
    finals = [
        loss
        for row in rows
        if row["table"] == name and row["arm"] == "grid"
        for loss in row["loss"]
    ]
    return statistics.median(finals) if finals else None


def measure(
    table: Lookup, arm: str, first: int, count: int, target: float | None
) -> dict[str, Any]:
    """Runs one arm with some seeds and returns their row."""
    runs = [
        _search(table, arm, seed, target)
        for seed in range(first, first + count)
    ]
    return {name: [run[name] for run in runs] for name in runs[0]}


def _search(
    table: Lookup, arm: str, seed: int, target: float | None
) -> dict[str, Any]:
    bests: list[float] = []
    seconds, reached, cpu = 0.0, None, 0.0
    for point, tell, spent in ARMS[arm][0](table, seed):
        key = table.key(point)
        loss = table.losses[key]
        tell(loss)
        seconds, cpu = seconds + table.seconds[key], cpu + spent
        bests.append(min([loss, *bests[-1:]]))
        if reached is None and target is not None and loss <= target:
            reached = round(seconds, 1)
        if len(bests) == TRIALS:
            break
    found = [bests[min(n, len(bests)) - 1] for n in AT]
    return {
        "loss": bests[-1],
        "regret": [round(table.regret(loss), 6) for loss in found],
        "seconds_to_grid": reached,
        "seconds": round(seconds, 1),
        "cpu_ms": round(1000.0 * cpu / len(bests), 3),
    }


if __name__ == "__main__":
    main()
