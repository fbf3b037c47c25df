"""Compares the rates of `LearningRateFinder` with a grid of rates.

Run with `KERAS_BACKEND=torch python -m benchmarks.learning_rate.finder`. All
trainings of a seed and network start from the same weights. Rows in the JSON
are kept; `--fresh` measures all.
"""

import time
from typing import Any

import keras
import numpy as np

from benchmarks.learning_rate.data import HELD_OUT, load
from benchmarks.missing_rows import measure_missing
from keras_netopt import learning_rate
from keras_netopt.callbacks import LearningRateFinder

NAME = "learning_rate_finder"
IMAGES, EPOCHS, BATCH = 6_000, 4, 64
GRID = [float(f"{rate:.3g}") for rate in np.geomspace(1e-5, 1.0, 9)]
OPTIMIZERS = {
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    "adam": lambda rate: keras.optimizers.Adam(rate),
}
DEFAULTS = {"sgd": 1e-2, "adam": 1e-3}
SETTINGS = {
    "data": f"Fashion-MNIST, {IMAGES:,} train, {HELD_OUT:,} held out",
    "epochs": EPOCHS,
    "batch": BATCH,
    "grid": GRID,
    "defaults": DEFAULTS,
}
ARMS = {
    f"{layers}x{units} {optimizer}": (layers, units, optimizer)
    for optimizer in OPTIMIZERS
    for layers in (1, 3)
    for units in (64, 256)
}


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, ARMS, train, EPOCHS)


def build(arm: str, seed: int, rate: Any) -> keras.Model:
    """A dense network, compiled; the seed gives its initial weights."""
    layers, units, optimizer = ARMS[arm]
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((784,)),
            *(
                keras.layers.Dense(units, activation="relu")
                for _ in range(layers)
            ),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        OPTIMIZERS[optimizer](rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def train(arm: str, seed: int, epochs: int) -> dict[str, Any]:
    """Sweeps twice, then trains with every rate."""
    data, held_out, _ = load(IMAGES, seed)
    cpu = time.process_time()
    finder, slow = (
        _swept(LearningRateFinder(smoothing=smoothing), arm, seed, data)
        for smoothing in (0.9, 0.98)
    )
    found = {
        "suggestion": finder.suggestion,
        "steepest": finder.steepest,
        "suggestion 0.98": slow.suggestion,
    }
    rates: dict[str, Any] = {
        **{f"grid {rate:g}": rate for rate in GRID},
        "default": DEFAULTS[ARMS[arm][2]],
        **found,
    }
    steps = epochs * -(-IMAGES // BATCH)
    peaks = {
        "one cycle": finder.suggestion,
        "one cycle lowest": finder.suggestion and 10 * finder.suggestion,
        "one cycle default": rates["default"],
    }
    for name, peak in peaks.items():
        rates[name] = peak and learning_rate.OneCycle(peak, total_steps=steps)
    accuracy = {
        name: rate and _accuracy(arm, seed, epochs, rate, data, held_out)
        for name, rate in rates.items()
    }
    return {
        **found,
        "sweep": len(finder.history["loss"]),
        "accuracy": accuracy,
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }


def _swept(
    finder: LearningRateFinder, arm: str, seed: int, data: Any
) -> LearningRateFinder:
    model = build(arm, seed, 1e-3)
    model.fit(*data, batch_size=BATCH, verbose=0, callbacks=[finder])
    return finder


def _accuracy(
    arm: str, seed: int, epochs: int, rate: Any, data: Any, held_out: Any
) -> float:
    model = build(arm, seed, rate)
    model.fit(*data, batch_size=BATCH, epochs=epochs, verbose=0)
    logs = model.evaluate(
        *held_out, batch_size=1000, verbose=0, return_dict=True
    )
    return round(float(logs["accuracy"]), 4)


if __name__ == "__main__":
    main()
