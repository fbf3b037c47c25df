"""What stopping trials early costs and saves, on real training.

Run with `KERAS_BACKEND=jax python -m benchmarks.hpo.stopping`. All arms of a
seed but the last search the same random points, with the same initial
weights: what a stopper ends is the only difference. Rows that are already in
the JSON are kept; `--fresh` measures all.
"""

import functools
import tempfile
import time
from typing import Any

import keras
import keras_tuner

from benchmarks.missing_rows import measure_missing
from keras_netopt import search

NAME = "hpo_stopping"
IMAGES, HELD_OUT, TRIALS, EPOCHS, BATCH = 10_000, 5_000, 16, 9, 128
SETTINGS = {
    "data": f"Fashion-MNIST, {IMAGES:,} train, {HELD_OUT:,} to validate",
    "trials": TRIALS,
    "epochs": EPOCHS,
    "batch": BATCH,
    "space": "1-3 layers, 16-256 units, dropout 0-0.5, Adam or SGD, rate "
    "1e-4 to 1e-1",
}
ARMS: dict[str, tuple[str, Any, Any]] = {
    "whole": ("random points, all epochs", search.RandomSearchOracle, None),
    "asha": ("the same, `ASHA(eta=3)`", search.RandomSearchOracle, search.ASHA),
    "median": (
        "the same, `MedianStopping(3)`",
        search.RandomSearchOracle,
        functools.partial(search.MedianStopping, 3),
    ),
    "tpe_asha": ("`TPE` with `ASHA(eta=3)`", search.TPEOracle, search.ASHA),
}


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, ARMS, train, TRIALS)


def build(hp: keras_tuner.HyperParameters) -> keras.Model:
    """A dense network, compiled."""
    x = inputs = keras.Input((784,))
    dropout = hp.Float("dropout", 0.0, 0.5)
    for k in range(hp.Int("layers", 1, 3)):
        units = hp.Int(f"units_{k}", 16, 256, sampling="log")
        x = keras.layers.Dense(units, activation="relu")(x)
        x = keras.layers.Dropout(dropout)(x)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    kinds = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    optimizer = kinds[hp.Choice("optimizer", list(kinds))](rate)
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def load() -> tuple[Any, Any]:
    """Returns images and labels to train and to validate on."""
    (x, y), _ = keras.datasets.fashion_mnist.load_data()
    x = x.reshape(len(x), -1).astype("float32") / 255
    y = y.astype("int32")
    last = slice(-HELD_OUT, None)
    return (x[:IMAGES], y[:IMAGES]), (x[last], y[last])


def train(arm: str, seed: int, trials: int) -> dict[str, Any]:
    """Searches once."""
    _, oracle, stopper = ARMS[arm]
    data, held_out = load()
    begin, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        tuner = search.Tuner(
            build,
            oracle("val_accuracy", trials, seed=seed),
            stopper=None if stopper is None else stopper(),
            directory=folder,
        )
        tuner.search(
            *data,
            validation_data=held_out,
            batch_size=BATCH,
            epochs=EPOCHS,
            verbose=0,
        )
        best = tuner.oracle.get_best_trials()[0]
        spent = [
            int(trial.metrics.get_last_value("epochs"))
            for trial in tuner.oracle.trials.values()
        ]
    return {
        "best": float(best.score),
        "trial": best.trial_id,
        "epochs": spent,
        "seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }


if __name__ == "__main__":
    main()
