"""Several tasks one after another: accuracy, forgetting and parameters.

Run with `KERAS_BACKEND=jax python -m benchmarks.progressive.continual`. Rows
that are already in `benchmarks/results/progressive_continual.json` are kept;
`--fresh` measures all.
"""

import argparse
import warnings

from benchmarks.progressive import continual_arms as arms
from benchmarks.progressive import continual_tasks as tasks
from benchmarks.records import Records

NAME = "progressive_continual"
SETTINGS = {
    "data": "Fashion-MNIST, pixels / 255, 2 x 2 means, 14 x 14",
    "network": {"hidden": [tasks.WIDTH, tasks.WIDTH], "activation": "relu"},
    "optimizer": f"Adam {tasks.RATE}",
    "batch": tasks.BATCH,
    "epochs": {"task": tasks.EPOCHS, "compress": tasks.COMPRESS_EPOCHS},
    "samples_per_task": tasks.SAMPLES,
    "order": "shuffled anew every epoch",
}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", nargs="+", default=list(arms.ARMS))
    parser.add_argument("--orders", nargs="+", default=list(tasks.ORDERS))
    options = parser.parse_args()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for seed in range(options.seeds):
        for order in options.orders:
            for name in options.arms:
                key = {"order": order, "arm": name, "seed": seed}
                if records.find(**key):
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    row = arms.run(name, order, seed)
                records.add({**key, **row})
                print(*key.values(), row, flush=True)


if __name__ == "__main__":
    main()
