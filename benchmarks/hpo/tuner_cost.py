"""What our tuner adds to a trial, to memory, and to reading its folder.

Run with `KERAS_BACKEND=jax python -m benchmarks.hpo.tuner_cost`. Stock
`keras_tuner.Tuner` and ours search the same random points in turns, each with
a project of its own in every round. Training is so short that the difference
is what a tuner does around it: files, callbacks, epochs that are reported.
The last parts run one long search, and read folders of many trials. Rows that
are already in the JSON are kept; `--fresh` measures all.
"""

import argparse
import gc
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from benchmarks.hpo import many_trials
from benchmarks.records import Records
from keras_netopt import search

NAME = "hpo_tuner_cost"
ROUNDS, TRIALS, EPOCHS = 7, 8, 9
LONG, EVERY = 300, 50
SETTINGS = {
    "rounds": ROUNDS,
    "trials": TRIALS,
    "epochs": EPOCHS,
    "long": LONG,
    "every": EVERY,
    "network": "dense, 8 inputs, up to 32 units, 64 samples",
}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    records = Records(NAME, SETTINGS, fresh=parser.parse_args().fresh)
    for turn in range(ROUNDS + 1):
        for arm in ("kerastuner", "ours"):
            if records.find(arm=arm, round=turn) is None:
                with tempfile.TemporaryDirectory() as folder:
                    spent = time_trials(arm, turn, folder)
                if turn:  # The first round compiles and imports.
                    records.add({"arm": arm, "round": turn, "cpu": spent})
    if records.find(part="memory") is None:
        with tempfile.TemporaryDirectory() as folder:
            records.add({"part": "memory", "megabytes": watch_memory(folder)})
    if records.find(part="reading") is None:
        with tempfile.TemporaryDirectory() as folder:
            records.add({"part": "reading", **time_reading(folder)})


def build(hp: keras_tuner.HyperParameters) -> keras.Model:
    """A small dense network, compiled."""
    units = hp.Int("units", 8, 32)
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(units), keras.layers.Dense(1)]
    )
    rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


def make_tuner(arm: str, seed: int, trials: int, folder: str) -> Any:
    """A random search by one of the tuners."""
    options = {"max_trials": trials, "seed": 1 + seed}
    shared = {"directory": folder, "project_name": "project"}
    if arm == "ours":
        oracle = search.RandomSearchOracle("val_loss", **options)
        return search.Tuner(build, oracle, **shared)
    oracle = keras_tuner.oracles.RandomSearchOracle(
        objective=keras_tuner.Objective("val_loss", "min"), **options
    )
    return keras_tuner.Tuner(oracle, build, **shared)


def run(tuner: Any, callbacks: list[Any]) -> None:
    """Searches on the same noise."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 8)), rng.normal(size=(64, 1))
    tuner.search(
        x,
        y,
        validation_data=(x, y),
        epochs=EPOCHS,
        batch_size=32,
        verbose=0,
        callbacks=callbacks,
    )


def time_trials(arm: str, turn: int, folder: str) -> float:
    """Returns the CPU seconds of a trial, all of it."""
    tuner = make_tuner(arm, turn, TRIALS, folder)
    begun = time.process_time()
    run(tuner, [])
    return (time.process_time() - begun) / TRIALS


def watch_memory(folder: str) -> list[float]:
    """Returns the resident megabytes after every so many trials."""
    tuner = make_tuner("ours", 0, LONG, folder)
    found, end_trial = [], tuner.oracle.end_trial

    def ended(trial: Any) -> None:
        end_trial(trial)
        if len(tuner.oracle.end_order) % EVERY == 0:
            gc.collect()
            found.append(round(resident() / 1e6, 1))

    tuner.oracle.end_trial = ended
    run(tuner, [])
    return found


def resident() -> int:
    """Returns the resident bytes of this process, on Linux."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def time_reading(folder: str) -> dict[str, float]:
    """Returns the CPU seconds of reading and ranking 2,000 trials."""
    many_trials.measure(many_trials.ORACLES["random"](), folder, plots=False)
    spent: dict[str, list[float]] = {"read": [], "ranked": []}
    for _ in range(3):
        begun = time.process_time()
        search.read_project(Path(folder, "project"))
        read = time.process_time()
        str(search.leaderboard(Path(folder, "project")))
        spent["read"].append(read - begun)
        spent["ranked"].append(time.process_time() - read)
    return {name: statistics.median(one) for name, one in spent.items()}


if __name__ == "__main__":
    main()
