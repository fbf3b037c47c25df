"""Searches that stop trials early, at equal training time.

Run with `python -m benchmarks.hpo.fidelity`. A trial looks its learning curve
up; those of the networks of `fidelity_networks` are true, those of the other
tables are simulated. Each search ends when its trials have trained for as
long as 20, and as 60, complete trainings of the median network. Rows that are
already in the JSON are kept; `--fresh` measures all, `--limit 2` tries every
arm with two seeds and writes nothing. A row holds a block of seeds of one arm
on one table.
"""

import argparse
import statistics
import time
import warnings
from typing import Any

from benchmarks.hpo.fidelity_arms import ARMS, Search
from benchmarks.hpo.fidelity_curves import EPOCHS, CurveTable, load
from benchmarks.records import Records

NAME = "hpo_fidelity"
TABLES = ("trained", "protein", "slice")
BUDGETS = (20, 60)
SEEDS, BLOCK = 100, 10
SETTINGS = {"budgets": BUDGETS, "epochs": EPOCHS, "seeds": SEEDS}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for first in range(0, SEEDS, BLOCK):
        for name in options.tables:
            table = load(name)
            for arm in options.arms:
                if options.limit:
                    print(name, arm, measure(table, arm, 0, options.limit))
                    continue
                key = {"table": name, "arm": arm, "first": first}
                if not records.find(**key):
                    row = measure(table, arm, first, BLOCK)
                    records.add({**key, **row})
                    print(key, row["seconds"], flush=True)
        if options.limit:
            return


def measure(
    table: CurveTable, arm: str, first: int, count: int
) -> dict[str, Any]:
    """Runs one arm with some seeds and returns their row."""
    begun = time.process_time()
    runs = [
        search_once(table, ARMS[arm], seed)
        for seed in range(first, first + count)
    ]
    row: dict[str, Any] = {
        name: [run[name] for run in runs] for name in ("regret", "trials")
    }
    row["cpu_ms"] = round(statistics.fmean(run["cpu_ms"] for run in runs), 3)
    row["seconds"] = round(time.process_time() - begun, 1)
    return row


def search_once(table: CurveTable, search: Search, seed: int) -> dict[str, Any]:
    """Runs one search; returns what it has found at the end of each budget."""
    spent, trials, cpu = 0.0, 0, 0.0
    rank, winner = (2.0,), -1
    found: list[tuple[float, int]] = []
    for training in search(table, seed):
        spent += table.cost[training.place] * training.epochs / EPOCHS
        while len(found) < len(BUDGETS) and spent > BUDGETS[len(found)]:
            if not trials:
                raise ValueError(f"One trial cost {spent:.0f} trainings.")
            found.append((round(table.regret(winner), 6), trials))
        if len(found) == len(BUDGETS):
            break
        trials, cpu = trials + 1, cpu + training.cpu
        if training.rank < rank:
            rank, winner = training.rank, training.place
    regrets, counts = zip(*found, strict=True)
    return {
        "regret": list(regrets),
        "trials": list(counts),
        "cpu_ms": 1000.0 * cpu / trials,
    }


if __name__ == "__main__":
    main()
