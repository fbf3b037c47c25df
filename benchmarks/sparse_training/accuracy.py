"""Accuracy of sparse networks by pruning, sparse training and fixed masks.

Run with `KERAS_BACKEND=jax python -m benchmarks.sparse_training.accuracy`.
All arms of a setting and a seed have the same initial values, order of
samples and number of steps. Rows that are already in
`benchmarks/results/sparse_training_accuracy.json` are kept; `--fresh`
measures all. The rows of a seed are measured setting by setting, so that an
interrupted run has whole tables of fewer seeds. `--check` compares networks
that are used again with new ones.
"""

import argparse
import itertools
import time
from typing import Any

import numpy as np

from benchmarks.records import Records
from benchmarks.sparse_training import arms, nets

NAME = "sparse_training_accuracy"
SETTINGS = {
    "data": "Fashion-MNIST, 60,000 train, 10,000 test",
    "learning_rates": nets.LEARNING_RATES,
    "momentum": nets.MOMENTUM,
    "batch": nets.BATCH,
    "steps": nets.STEPS,
    "frequencies": nets.FREQUENCIES,
    "widths": nets.WIDTHS,
    "samples_per_class": arms.SAMPLES_PER_CLASS,
}
ORDER = (
    nets.Setting("mlp", "adam", "raw"),
    nets.Setting("mlp", "sgd", "standard"),
    nets.Setting("mlp", "adam", "standard"),
    nets.Setting("mlp", "sgd", "raw"),
    nets.Setting("cnn", "adam", "raw"),
    nets.Setting("cnn", "sgd", "standard"),
    nets.Setting("cnn", "adam", "standard"),
    nets.Setting("cnn", "sgd", "raw"),
)


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    pool = nets.Nets()
    if options.check:
        check(pool)
        return
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    chosen = [
        one
        for one in ORDER
        if one.model in options.models
        and f"{one.optimizer}-{one.inputs}" in options.settings
    ]
    seeds = range(options.first, options.seeds)
    for seed, setting in itertools.product(seeds, chosen):
        for name, sparsity in itertools.product(options.arms, arms.SPARSITIES):
            key = {
                **vars(setting),
                "arm": name,
                "sparsity": 0.0 if name == "dense" else sparsity,
                "seed": seed,
            }
            if not records.find(**key):
                row = train(pool, setting, name, key["sparsity"], seed)
                records.add({**key, **row})
                print(*key.values(), row["accuracy"], row["cpu"], flush=True)


def train(
    pool: nets.Nets,
    setting: nets.Setting,
    name: str,
    sparsity: float,
    seed: int,
    steps: int | None = None,
) -> dict[str, Any]:
    """Trains one arm and returns its row."""
    begin = time.process_time()
    arm = arms.ARMS[name]
    train_set, test_set = pool.load(setting)
    widths = None
    if name == "small":
        widths = nets.small_widths(setting.model, sparsity)
    model = pool.get(setting, seed, arm.step, widths)
    used = []
    if arm.make is not None:
        data = arms.draw_samples(train_set, seed)
        used.append(arm.make(setting.model, sparsity, seed, data))
    history = model.fit(
        nets.Batches(train_set, steps or nets.STEPS[setting.model], seed),
        shuffle=False,
        verbose=0,
        callbacks=used,
    )
    return {
        "accuracy": round(nets.measure_accuracy(model, test_set), 4),
        "loss": round(history.history["loss"][-1], 4),
        "kept_per_layer": nets.kept_weights(model),
        "cpu": round(time.process_time() - begin, 2),
    }


def check(pool: nets.Nets) -> None:
    """Raises ValueError if a network that was used before trains otherwise."""
    for setting, (name, arm) in itertools.product(ORDER, arms.ARMS.items()):
        if arm.make is None or setting.inputs == "standard":
            continue
        for _ in range(2):
            train(pool, setting, name, 0.9, 1, 120)
        again = pool.get(setting, 1, arm.step).get_weights()
        train(pool, setting, name, 0.9, 1, 120)
        used = pool.compiled[setting.model, setting.optimizer, arm.step, None]
        new = nets.Nets(data=pool.data)
        train(new, setting, name, 0.9, 1, 120)
        (other,) = new.compiled.values()
        pairs = zip(used.get_weights(), other.get_weights(), strict=True)
        if not all(np.array_equal(a, b) for a, b in pairs):
            raise ValueError(f"{setting}, {name}: differs from a new network")
        print(setting, name, "equal", len(again), flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--arms", nargs="+", default=list(arms.ARMS))
    parser.add_argument("--models", nargs="+", default=list(nets.WIDTHS))
    pairs = dict.fromkeys(f"{one.optimizer}-{one.inputs}" for one in ORDER)
    parser.add_argument("--settings", nargs="+", default=list(pairs))
    return parser.parse_args()


if __name__ == "__main__":
    main()
