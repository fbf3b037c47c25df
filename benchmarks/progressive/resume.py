"""A chain of three tasks that is killed and started again.

Run with `KERAS_BACKEND=jax python -m benchmarks.progressive.resume`. A child
process trains three tasks one after another: `ProgressiveNetwork.save` after
each task, `ProgressiveNetwork.load` at the start, and
`keras.callbacks.BackupAndRestore` inside each `fit`. SIGKILL ends it in the
middle of an epoch, while a backup is written, while the network is written,
and between tasks; it is started again until it is complete. The outputs of
all tasks are compared with those of a chain without interruptions.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.progressive.fashion_data import change, few_labels, load
from benchmarks.records import Records
from keras_netopt.progressive import ProgressiveNetwork

TASKS = ("clean", "inversion", "noise")
LABELS, BATCH, EPOCHS = 50, 25, 3
STEPS = 10 * LABELS // BATCH
SETTINGS = {
    "tasks": TASKS,
    "column": "Dense 32, BatchNormalization, Dense 32",
    "optimizer": "AdamW 1e-3",
    "samples": 10 * LABELS,
    "batch": BATCH,
    "epochs": EPOCHS,
    "order": "shuffle=False",
}
# Events after which the child is killed, and the longest delay in seconds:
# in an epoch, while a backup or the network is written, between tasks.
MOMENTS = {"step": 0.0, "backup": 0.03, "save": 0.2, "saved": 0.0}
KILLS = (
    ("clean", "step"),
    ("clean", "save"),
    ("inversion", "backup"),
    ("inversion", "saved"),
    ("noise", "step"),
    ("noise", "save"),
)


def main() -> None:
    """Runs the chain with and without interruptions, or one of its starts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--chain", help="folder of a start of the chain")
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    if options.chain:
        train_chain(Path(options.chain), options.dropout)
        return
    name = f"progressive_resume_{keras.backend.backend()}"
    records = Records(name, SETTINGS, fresh=options.fresh)
    for seed in range(options.seeds):
        for dropout in (0.0, options.dropout):
            key = {"dropout": dropout, "seed": seed}
            if not records.find(**key):
                row = compare(dropout, seed)
                records.add({**key, **row})
                print(key, row, flush=True)


def compare(dropout: float, seed: int) -> dict[str, Any]:
    """Returns what differs between a chain with and without kills."""
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        start(whole, dropout, None, 0.0)
        kills = dict.fromkeys(MOMENTS, 0)
        for event, delay in draw_kills(seed):
            if start(killed, dropout, event, delay):
                kills[event.split()[0]] += 1
        start(killed, dropout, None, 0.0)
        expected, found = (
            np.load(one / "final.npz") for one in (whole, killed)
        )
        firsts = [np.load(one) for one in sorted(killed.glob("first_*.npy"))]
        gaps = {
            task: float(np.abs(expected[task] - found[task]).max())
            for task in TASKS
        }
        return {
            "kills": kills,
            "equal": {
                task: bool(np.array_equal(expected[task], found[task]))
                for task in TASKS
            },
            "largest_difference": gaps,
            "first_task_checks": len(firsts),
            "first_task_equal": all(
                np.array_equal(one, expected[TASKS[0]]) for one in firsts
            ),
            "trained": float(
                np.abs(expected[TASKS[0]] - expected[TASKS[1]]).max()
            ),
        }


def draw_kills(seed: int) -> Iterator[tuple[str, float]]:
    """Yields the events after which the child is killed, with a delay."""
    rng = random.Random(seed)
    for task, kind in KILLS:
        place = {
            "step": f" {rng.randrange(1, EPOCHS)} {rng.randrange(STEPS)}",
            "backup": f" {rng.randrange(1, EPOCHS)}",
        }.get(kind, "")
        yield f"{kind} {task}{place}", rng.uniform(0, MOMENTS[kind])


def start(
    folder: Path, dropout: float, event: str | None, delay: float
) -> bool:
    """Starts the chain and kills it after an event; returns if it was.

    Raises:
        RuntimeError: If the chain fails.
    """
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.progressive.resume"]
    command += ["--chain", str(folder), "--dropout", str(dropout)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
    ) as child:
        for line in child.stdout or ():
            if event is not None and line.strip() == event:
                time.sleep(delay)
                child.kill()
                return True
        _, text = child.communicate()
        if child.returncode:
            raise RuntimeError(f"The chain failed: {text[-3000:]}")
    return False


def train_chain(folder: Path, dropout: float) -> None:
    """Trains the tasks that are not in the file yet."""
    path = folder / "network.keras"
    if path.exists():
        net = ProgressiveNetwork.load(path, column=make_column(dropout))
    else:
        net = ProgressiveNetwork(make_column(dropout), keras.Input((28, 28)))
    first, rest, test = load(0)
    x, y = few_labels(first, range(10), LABELS)

    def check_first() -> None:
        answers = predict(net[TASKS[0]], test[0])
        np.save(folder / f"first_{time.time_ns()}.npy", answers)

    if TASKS[0] in net:
        check_first()
    for number, name in enumerate(TASKS):
        if name in net:
            continue
        # The same initial weights in each start.
        keras.utils.set_random_seed(number)
        task = net.add_task(keras.layers.Dense(10), name=name)
        task.compile(
            keras.optimizers.AdamW(1e-3),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        task.fit(
            change(x, name, 1),
            y,
            batch_size=BATCH,
            epochs=EPOCHS,
            shuffle=False,
            callbacks=[
                Announce(name),
                keras.callbacks.BackupAndRestore(
                    folder / f"backup_{name}", double_checkpoint=True
                ),
            ],
            verbose=0,
        )
        announce(f"save {name}")
        net.save(path)
        announce(f"saved {name}")
        check_first()
    np.savez(
        folder / "final.npz",
        **{name: predict(net[name], test[0]) for name in TASKS},
    )


def make_column(dropout: float) -> Any:
    """Returns a function that makes the hidden tensors of a column."""

    def column(inputs: Any) -> list[Any]:
        layers = keras.layers
        h = layers.Dense(32, "relu")(layers.Flatten()(inputs))
        h1 = layers.BatchNormalization(momentum=0.9)(h)
        h2 = layers.Dense(32, "relu")(layers.Dropout(dropout)(h1))
        return [h1, h2]

    return column


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns the outputs for 200 images."""
    return np.asarray(model.predict(images[:200], verbose=0))


class Announce(keras.callbacks.Callback):
    """Prints where the training is."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task = task
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        announce(f"step {self.task} {self.epoch} {batch}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        announce(f"backup {self.task} {epoch}")


def announce(text: str) -> None:
    """Prints a line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
