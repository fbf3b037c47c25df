"""Sparse training that is killed and started again.

Run with `KERAS_BACKEND=jax python -m benchmarks.sparse_training.resume`. A
child process trains one network per method, each with
`keras.callbacks.BackupAndRestore`. SIGKILL ends it at random moments; it is
started again until it is complete. Weights, masks and all variables of the
optimizer are compared with those of a process that was not interrupted.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from benchmarks.records import Records
from keras_netopt import callbacks
from keras_netopt.training import MaskStore

NAME = "sparse_training_resume"
EPOCHS, STEPS, BATCH = 6, 30, 32
WIDTHS = (64, 96, 48, 10)
SETTINGS = {
    "network": WIDTHS,
    "optimizer": "Adam 1e-3",
    "epochs": EPOCHS,
    "steps": STEPS,
    "batch": BATCH,
    "order": "shuffle=False",
}
METHODS = {
    "set": lambda: callbacks.SparseTraining(0.9, regrow="random", frequency=7),
    "rigl": lambda: callbacks.SparseTraining(
        0.9, regrow="gradient", frequency=7
    ),
}
KILLS = 2  # Of each method.
DELAY = 0.05  # Longest time between a step and the kill, in seconds.


def main() -> None:
    """Trains with and without interruptions, or makes one start."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--start", help="folder of the files of a start")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    if options.start:
        train_all(Path(options.start))
        return
    name = f"{NAME}_{keras.backend.backend()}"
    records = Records(name, SETTINGS, fresh=options.fresh)
    for seed in range(options.seeds):
        if not records.find(seed=seed):
            for row in compare(seed):
                print(row, flush=True)
                records.add({"seed": seed, **row})


def compare(seed: int) -> list[dict[str, Any]]:
    """Returns a row per method: its kills, and what differs after them."""
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        start(whole)
        kills = dict.fromkeys(METHODS, 0)
        rng = random.Random(seed)
        for method in METHODS:
            # Later ones first reach what an earlier start has saved.
            steps = sorted(rng.sample(range(STEPS, EPOCHS * STEPS), KILLS))
            for step in steps:
                event = f"step {method} {step}"
                kills[method] += start(killed, event, rng.uniform(0, DELAY))
        start(killed)
        return [
            {
                "method": method,
                "kills": kills[method],
                **_difference(method, whole, killed),
                **_mask_bytes(whole / f"{method}.weights.h5"),
            }
            for method in METHODS
        ]


def start(folder: Path, event: str | None = None, delay: float = 0.0) -> bool:
    """Starts the training and kills it after an event; returns if it was.

    Raises:
        RuntimeError: If the training fails.
    """
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.sparse_training.resume"]
    with subprocess.Popen(
        [*command, "--start", str(folder)],
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
            raise RuntimeError(f"The training failed: {text[-3000:]}")
    return False


def train_all(folder: Path) -> None:
    """Trains the networks that are not complete yet."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * BATCH, WIDTHS[0])).astype("float32")
    y = (x @ rng.normal(size=(WIDTHS[0], WIDTHS[-1]))).argmax(axis=1)
    for method, make in METHODS.items():
        final = folder / f"{method}.npz"
        if final.exists():
            continue
        # A start without the first method gives layers other names, on which
        # random masks depend.
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        hidden = [keras.layers.Dense(n, "relu") for n in WIDTHS[1:-1]]
        model = keras.Sequential(
            [keras.Input(WIDTHS[:1]), *hidden, keras.layers.Dense(WIDTHS[-1])]
        )
        model.compile(
            keras.optimizers.Adam(1e-3),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        backup = keras.callbacks.BackupAndRestore(
            folder / f"backup_{method}", double_checkpoint=True
        )
        model.fit(
            x,
            y,
            batch_size=BATCH,
            epochs=EPOCHS,
            shuffle=False,
            verbose=0,
            callbacks=[make(), Announce(method), backup],
        )
        model.save_weights(folder / f"{method}.weights.h5")
        partial = folder / f"{method}.partial.npz"
        np.savez(partial, **_read(model))
        partial.rename(final)


class Announce(keras.callbacks.Callback):
    """Prints the steps."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called by Keras."""
        step = self.epoch * STEPS + batch
        print(f"step {self.method} {step}", flush=True)


def _read(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns all that training changes: weights, masks, optimizer."""
    store = MaskStore.of(model)
    if store is None:
        raise RuntimeError("The model has no masks")
    named = {
        **{f"weight {i}": v for i, v in enumerate(model.variables)},
        **{f"slot {i}": v for i, v in enumerate(model.optimizer.variables)},
    }
    arrays = {
        name: np.asarray(keras.ops.convert_to_numpy(variable))
        for name, variable in named.items()
    }
    masks = {f"mask {key}": mask for key, mask in store.masks().items()}
    return {**arrays, **masks}


def _difference(method: str, whole: Path, killed: Path) -> dict[str, Any]:
    expected, found = (
        np.load(one / f"{method}.npz") for one in (whole, killed)
    )
    equal = {
        kind: all(
            np.array_equal(expected[name], found[name])
            for name in expected.files
            if name.startswith(kind)
        )
        for kind in ("weight", "mask", "slot")
    }
    return {"arrays": len(expected.files), "equal": equal}


def _mask_bytes(path: Path) -> dict[str, int]:
    """Returns the bytes of the masks in a weights file, and their bits."""
    found = {"mask_bytes": 0, "mask_bits": 0}
    wanted = sum(a * b for a, b in zip(WIDTHS, WIDTHS[1:], strict=False))

    def add(name: str, item: Any) -> None:
        # Statistics have the same name, but are not packed to bits.
        is_mask = name.startswith("_netopt/vars/masks.")
        if is_mask and item.dtype == np.uint8:
            found["mask_bytes"] += item.nbytes

    with h5py.File(path) as file:
        file.visititems(add)
    found["mask_bits"] = wanted
    return found


if __name__ == "__main__":
    main()
