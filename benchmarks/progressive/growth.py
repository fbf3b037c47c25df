"""Parameters of the fifth task, with and without pruned adapters.

`KERAS_BACKEND=jax python -m benchmarks.progressive.growth`
"""

import argparse
import warnings
from typing import Any

import keras
import numpy as np

from benchmarks.progressive.growth_columns import COLUMNS, load_tasks
from benchmarks.records import Records
from keras_netopt.progressive import ProgressiveNetwork

SAMPLES, BATCH, RATE = 4_000, 64, 2e-3
EPOCHS, FINE_TUNING = 5, 2
WIDTHS = {
    "dense": 0.3,
    "convolutional": 0.45,
    "recurrent": 0.45,
    "transformer": 0.5,
}
THRESHOLD = 0.1
ARMS = {
    "full column": {"tasks": (4,), "width": 1.0, "adapter": None},
    "narrow column": {"tasks": (4,), "width": None, "adapter": None},
    "all laterals": {"tasks": range(5), "width": 1.0, "lateral": "all"},
    "narrow, pruned": {
        "tasks": range(5),
        "width": None,
        "lateral": "previous",
        "adapter_width": 8,
        "prune": True,
    },
    "narrow, all, pruned": {
        "tasks": range(5),
        "width": None,
        "lateral": "all",
        "adapter_width": 4,
        "prune": True,
    },
}


def measure(kind: str, arm: str, seed: int, tasks: Any) -> dict[str, Any]:
    """Trains the tasks of an arm one after another."""
    settings = dict(ARMS[arm])
    wanted, width = settings.pop("tasks"), settings.pop("width")
    prune = settings.pop("prune", False)
    width = width or WIDTHS[kind]
    keras.utils.set_random_seed(seed)
    net = ProgressiveNetwork(
        COLUMNS[kind],
        keras.Input((14, 14)),
        probe=tasks[0][2][:64],
        **settings,
    )
    accuracies, unpruned = [], []
    for number in wanted:
        x, y, tx, ty = tasks[number]
        is_first = number == 0
        model = net.add_task(
            keras.layers.Dense(2), width=1.0 if is_first else width
        )
        model.compile(
            keras.optimizers.Adam(RATE),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        data = {"batch_size": BATCH, "verbose": 0}
        first = EPOCHS if prune and not is_first else EPOCHS + FINE_TUNING
        model.fit(x, y, epochs=first, **data)
        unpruned.append(_cost(net))
        if prune and not is_first:
            net.prune_adapters(net.tasks[-1], x[:256], threshold=THRESHOLD)
            model.fit(x, y, epochs=FINE_TUNING, **data)
        found = model.evaluate(tx, ty, batch_size=1000, verbose=0)
        accuracies.append(round(100 * found[1], 2))
    return {
        "accuracies": accuracies,
        "params": [
            one.column_params + one.lateral_params + one.head_params
            for one in net.summary().tasks
        ],
        "before_pruning": unpruned,
        "total_params": net.summary().tasks[-1].total_params,
        "bit_equal": bool(net.check_forgetting().passed),
    }


def _cost(net: ProgressiveNetwork) -> int:
    last = net.summary().tasks[-1]
    return last.column_params + last.lateral_params + last.head_params


def main() -> None:
    """Measures all arms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--columns", nargs="+", default=list(COLUMNS))
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    records = Records(
        "progressive_growth",
        {
            "samples": SAMPLES,
            "epochs": EPOCHS,
            "fine_tuning": FINE_TUNING,
            "widths": WIDTHS,
            "threshold": THRESHOLD,
            "rate": RATE,
        },
    )
    tasks = load_tasks(SAMPLES)
    for seed in range(arguments.seeds):
        for kind in arguments.columns:
            for arm in arguments.arms:
                key = {"columns": kind, "arm": arm, "seed": seed}
                if records.find(**key) is None:
                    row = {**key, **measure(kind, arm, seed, tasks)}
                    records.add(row)
                    print(row, np.mean(row["accuracies"]), flush=True)


if __name__ == "__main__":
    main()
