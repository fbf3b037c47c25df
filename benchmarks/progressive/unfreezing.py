"""Accuracy of a trained network after fine-tuning on few labels.

Run with `python -m benchmarks.progressive.unfreezing` on torch, where no step
is compiled. Rows that are already in the JSON are kept; `--fresh` measures all.
"""

import argparse
import dataclasses
import time

import keras

from benchmarks.progressive import unfreezing_arms as arms
from benchmarks.records import Records

NAME = "progressive_unfreezing"
SETTINGS = {
    "data": "Fashion-MNIST, 14 x 14",
    "pretraining": f"{arms.PRETRAINED:,} clean images, 4 epochs, Adam 2e-3",
    "fine-tuning": f"{arms.STEPS} steps of {arms.BATCH}, Adam, constant rate",
    "test": f"{arms.TESTED:,} images after the last step",
    **{name: dataclasses.asdict(task) for name, task in arms.TASKS.items()},
}


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    bench = arms.Bench()
    for seed in range(options.seeds):
        for name in options.tasks:
            for arm in options.arms:
                for rate in arms.RATES:
                    key = {"task": name, "arm": arm, "rate": rate, "seed": seed}
                    if not records.find(**key):
                        records.add({**key, **_measure(bench, **key)})
                        print(records.rows[-1], flush=True)


def _measure(
    bench: arms.Bench, task: str, arm: str, rate: float, seed: int
) -> dict[str, float]:
    (x, y), test = bench.data(arms.TASKS[task], seed)
    model = bench.network(seed, trained=arm != "scratch")
    arms.prepare(model, arm)
    arms.compile_model(model, rate)
    keras.utils.set_random_seed(seed)
    begin = time.process_time()
    model.fit(
        x,
        y,
        batch_size=arms.BATCH,
        epochs=arms.STEPS * arms.BATCH // len(x),
        verbose=0,
        callbacks=arms.callbacks_of(arm),
    )
    seconds = time.process_time() - begin
    _, accuracy = model.evaluate(*test, batch_size=500, verbose=0)
    return {
        "accuracy": round(float(accuracy), 4),
        "cpu_seconds": round(seconds, 2),
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", nargs="+", default=list(arms.ARMS))
    parser.add_argument("--tasks", nargs="+", default=list(arms.TASKS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
