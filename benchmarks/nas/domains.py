"""A search space for each domain, searched and sampled at random.

Run with `KERAS_BACKEND=torch python -m benchmarks.nas.domains`. All networks
of a space are trained once; then searches of 6 trials are replayed from that
table with 200 seeds. "RL" needs gymnasium 1.x on the path, "speech" the
program espeak-ng. Rows that are there are kept; `--fresh` measures all.
"""

import argparse
import json
from typing import Any

import keras
import keras_tuner
import numpy as np

from benchmarks.nas.domain_tasks import LENGTH, NAMES, STEPS, Task, task
from benchmarks.records import Records
from keras_netopt import cost, search
from keras_netopt.search.search_space import SearchSpace

NAME = "nas_domains"
TRIALS, SEEDS = 6, 200
ARMS = {
    "random": ("RandomSearchOracle", {}),
    "TPE": ("TPEOracle", {"n_startup_trials": 3}),
    "evolution": (
        "RegularizedEvolutionOracle",
        {"n_startup_trials": 3},
    ),
}
SETTINGS = {
    "trials": TRIALS,
    "seeds": SEEDS,
    "characters": LENGTH,
    "steps": STEPS,
    "arms": ARMS,
}


def main() -> None:
    """Trains every missing network, then replays the searches."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--domains", nargs="+", default=list(NAMES))
    options = parser.parse_args()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for name in options.domains:
        one = task(name)
        points = list(SearchSpace(one.space.hyperparameters()).grid())
        for number, values in enumerate(points):
            if options.limit and number < options.limit:
                print(name, values, measure(one, values))
            elif not options.limit and not records.find(
                domain=name, values=values
            ):
                records.add({"domain": name, **measure(one, values)})
        if not options.limit:
            replay_all(records, name)


def measure(one: Task, values: dict[str, Any]) -> dict[str, Any]:
    """Trains one network, unless it breaks a limit."""
    keras.utils.set_random_seed(0)
    model = one.space.model(values)
    summary = cost.summarize(model)
    allowed = all(limit.measure(model) <= limit.at_most for limit in one.limits)
    return {
        "values": values,
        "macs": summary.macs,
        "params": summary.params,
        "loss": round(one.measure(model, 0), 4) if allowed else None,
    }


def replay_all(records: Records, name: str) -> None:
    """Replays the searches of a domain whose table is complete."""
    table = {
        json.dumps(row["values"], sort_keys=True): row["loss"]
        for row in records.rows
        if row["domain"] == name and "values" in row
    }
    for arm in ARMS:
        if not records.find(domain=name, arm=arm):
            runs = [replay(name, arm, table, seed) for seed in range(SEEDS)]
            row = {"loss": [run[-1] for run in runs]}
            row["half"] = [run[TRIALS // 2 - 1] for run in runs]
            records.add({"domain": name, "arm": arm, **row})
            print(name, arm, np.mean(row["half"]), np.mean(row["loss"]))


def replay(
    name: str, arm: str, table: dict[str, float | None], seed: int
) -> list[float]:
    """Returns the best loss after each trial; misfits cost no trial."""
    kind, options = ARMS[arm]
    oracle = getattr(search, kind)(
        keras_tuner.Objective("loss", "min"),
        len(table),
        seed=seed,
        hyperparameters=task(name).space.hyperparameters(),
        defaults_first=False,
        **options,
    )
    oracle.verbose = 0
    oracle.save = oracle._save_trial = lambda *trial: None
    bests: list[float] = []
    while len(bests) < TRIALS:
        trial = oracle.create_trial("tuner0")
        if trial.status != "RUNNING":
            break
        values = trial.hyperparameters.values
        loss = table[json.dumps(values, sort_keys=True)]
        known = 1e3 if loss is None else loss
        oracle.update_trial(trial.trial_id, {"loss": known})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        if loss is not None:
            bests.append(min([loss, *bests[-1:]]))
    return bests


if __name__ == "__main__":
    main()
