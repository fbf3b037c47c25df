"""AC/DC, straight-through masks and SR-STE against the other schedules.

Run with `python -m benchmarks.sparse_training.alternating`, on JAX with one
thread. Rows that are already in the JSON are kept; `--fresh` measures all.
"""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.records import Records
from keras_netopt.callbacks import Pruning, SparseTraining
from keras_netopt.schedules import Cyclic

NAME = "sparse_training_alternating"
STEPS, BATCH = 1000, 128
TRAINED, TESTED = 20_000, 10_000
SEEDS = (0, 1, 2)
LEVELS = (0.9, 0.95, 0.98)
OPTIMIZERS: dict[str, Callable[[], keras.Optimizer]] = {
    "adam": lambda: keras.optimizers.Adam(1e-3),
    "sgd": lambda: keras.optimizers.SGD(0.05, 0.9),
}
SETTINGS = {
    "data": "Fashion-MNIST, pixels / 255",
    "images": [TRAINED, TESTED],
    "model": "MLP 784-300-100-10",
    "training": f"{STEPS} steps of {BATCH}",
    "optimizers": {"adam": "Adam, 1e-3", "sgd": "SGD, .05, momentum .9"},
    "allocation": "erk",
    "seeds": list(SEEDS),
}
Make = Callable[[float | None], Any]
STRAIGHT = functools.partial(SparseTraining, regrow="straight_through")
ERK: dict[str, Any] = {"allocation": "erk"}
TWO_FOUR: dict[str, Any] = {"pattern": "2:4"}

ARMS: dict[str, Make] = {
    "gradual": lambda level: Pruning(level, **ERK),
    "AC/DC": lambda level: Pruning(Cyclic(final=level or 0.0), **ERK),
    "SET": lambda level: SparseTraining(level, regrow="random"),
    "static": lambda level: SparseTraining(level, regrow=None),
    "straight-through": lambda level: STRAIGHT(level),
    "SR-STE, 2e-4": lambda level: STRAIGHT(level, decay=2e-4),
    "SR-STE, 2e-3": lambda level: STRAIGHT(level, decay=2e-3),
}
TWO_FOUR_ARMS: dict[str, Make] = {
    "gradual": lambda level: Pruning(**TWO_FOUR),
    "static, random": lambda level: SparseTraining(**TWO_FOUR, regrow=None),
    "static, magnitude": lambda level: SparseTraining(
        **TWO_FOUR, regrow=None, score="magnitude"
    ),
    "straight-through": lambda level: STRAIGHT(**TWO_FOUR),
    "SR-STE, 2e-4": lambda level: STRAIGHT(**TWO_FOUR, decay=2e-4),
    "SR-STE, 2e-3": lambda level: STRAIGHT(**TWO_FOUR, decay=2e-3),
}


def rows() -> list[tuple[str, float | None, Make | None]]:
    """Lists the arms: name, sparsity, callback."""
    found: list[tuple[str, float | None, Make | None]] = [("dense", 0.0, None)]
    found += [(arm, None, make) for arm, make in TWO_FOUR_ARMS.items()]
    found += [(a, level, m) for level in LEVELS for a, m in ARMS.items()]
    return found


@functools.cache
def data() -> tuple[np.ndarray, ...]:
    """Returns images and labels, for training and for the test."""
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    x, x_test = (a.reshape(len(a), -1) / np.float32(255) for a in (x, x_test))
    return x[:TRAINED], y[:TRAINED], x_test[:TESTED], y_test[:TESTED]


def build(optimizer: str, seed: int) -> keras.Model:
    """Builds and compiles the network; one seed gives one start."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(300, "relu"),
            keras.layers.Dense(100, "relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(OPTIMIZERS[optimizer](), loss, metrics=["accuracy"])
    return model


def measure(
    optimizer: str, level: float | None, make: Make | None, seed: int
) -> dict[str, Any]:
    """Trains one arm and returns its test accuracy and sparsity."""
    x, y, x_test, y_test = data()
    order = np.random.default_rng(seed)
    chosen = np.concatenate([order.permutation(len(x)) for _ in range(7)])
    chosen = chosen[: STEPS * BATCH]
    model = build(optimizer, seed)
    begin = time.process_time()
    model.fit(
        *(x[chosen], y[chosen]),
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
        callbacks=[] if make is None else [make(level)],
    )
    spent = time.process_time() - begin
    _, accuracy = model.evaluate(x_test, y_test, batch_size=1000, verbose=0)
    kernels = [w for w in model.get_weights() if w.ndim == 2]
    kept = sum(np.count_nonzero(kernel) for kernel in kernels)
    return {
        "accuracy": round(100 * accuracy, 2),
        "sparsity": round(1 - kept / sum(k.size for k in kernels), 4),
        "cpu_seconds": round(spent, 2),
    }


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    records = Records(NAME, SETTINGS, fresh=parser.parse_args().fresh)
    for seed in SEEDS:
        for optimizer in OPTIMIZERS:
            for arm, level, make in rows():
                key = {
                    "arm": arm,
                    "sparsity_set": level,
                    "optimizer": optimizer,
                    "seed": seed,
                }
                if records.find(**key):
                    continue
                found = measure(optimizer, level, make, seed)
                records.add({**key, **found})
                print(key, found, flush=True)


if __name__ == "__main__":
    main()
