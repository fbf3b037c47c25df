"""RHO-LOSS against uniform batches of the same size, with wrong labels.

Run with `python -m benchmarks.curriculum.rho`. Both arms make steps of 32
samples. "rho" selects them from 320 candidates by the difference between the
loss and the irreducible loss, that of a network trained on held-out samples
only. "top" selects the largest losses, without the irreducible loss.
"""

import argparse
import dataclasses
import time
from typing import Any

import keras
import numpy as np

from benchmarks.curriculum import data
from benchmarks.records import Records
from keras_netopt.callbacks import SelectiveBackprop
from keras_netopt.curriculum import Arm, sample_losses
from keras_netopt.curriculum.train_arm import train_arm

NAME = "curriculum_rho"
KEPT, CANDIDATES = 32, 320
STEPS_PER_EPOCH, EPOCHS = 50, 30
ALL = {"begin": 0.0, "end": 1.0, "interrupt": 0}
SETTINGS = {
    "data": "Fashion-MNIST, 10,000 train, labels redrawn with p = 0.4",
    "table": "loss of the same network, 8 epochs on 5,000 held-out samples "
    "with labels that are wrong as often",
    "batch": KEPT,
    "candidates": CANDIDATES,
    "steps_an_epoch": STEPS_PER_EPOCH,
    "epochs": EPOCHS,
}
ARMS = {
    "uniform": "uniform batches of 32",
    "rho": "32 of 320 by RHO-LOSS",
    "rho_large": "RHO-LOSS, irreducible loss from 50,000 held-out samples",
    "top": "32 of 320 by loss (control)",
}


class SelectedSamples(keras.callbacks.Callback):
    """Computes at the end of each epoch which samples would be selected."""

    def __init__(
        self, task: data.Task, irreducible: np.ndarray, method: str
    ) -> None:
        super().__init__()
        self.task, self.irreducible, self.method = task, irreducible, method
        self.wrong: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        rng = np.random.default_rng(epoch)
        ids = rng.choice(len(self.task.x), 5 * CANDIDATES, replace=False)
        value = rng.random(len(ids))
        if self.method != "uniform":
            task = self.task
            value = sample_losses(self.model, task.x[ids], task.y[ids])
        if self.method.startswith("rho"):
            value = value - self.irreducible[ids]
        selected = [
            group[np.argsort(value[place])[-KEPT:]]
            for group, place in zip(
                ids.reshape(5, -1),
                np.arange(len(ids)).reshape(5, -1),
                strict=True,
            )
        ]
        share = self.task.wrong[np.concatenate(selected)].mean()
        self.wrong.append(round(float(share), 4))


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    options = parser.parse_args()
    if options.limit:
        task = data.load("redrawn", 0, samples=2000)
        irreducible = np.zeros(len(task.x), "float32")
        for name in options.arms:
            print(name, train(task, irreducible, name, 0, options.limit))
        return
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for seed in range(options.seeds):
        names = [n for n in options.arms if not records.find(arm=n, seed=seed)]
        if not names:
            continue
        task = data.load("redrawn", seed)
        for name in names:
            irreducible = irreducible_losses(task, name, seed)
            row = train(task, irreducible, name, seed, EPOCHS)
            records.add({"arm": name, "seed": seed, **row})
            print(name, seed, max(row["accuracy"]), flush=True)


def irreducible_losses(task: data.Task, name: str, seed: int) -> np.ndarray:
    """Returns the loss of each sample under a model of held-out samples."""
    if name == "rho_large":
        held_out = data.all_held_out(task, "redrawn", seed)
        task = dataclasses.replace(task, held_out=held_out)
    model = data.held_out_model(task, seed)
    return sample_losses(model, task.x, task.y).astype("float32")


def train(
    task: data.Task,
    irreducible: np.ndarray,
    name: str,
    seed: int,
    epochs: int,
) -> dict[str, Any]:
    """Trains one arm and returns its row."""
    arm, size = Arm(), KEPT
    if name != "uniform":
        size = CANDIDATES
        arm = Arm(
            callbacks=lambda: [
                SelectiveBackprop(
                    KEPT / CANDIDATES,
                    method=name.removesuffix("_large"),
                    **ALL,
                )
            ],
            irreducible_loss=irreducible if name.startswith("rho") else None,
        )
    selection = SelectedSamples(task, irreducible, name)
    begin = time.perf_counter()
    logs, session = train_arm(
        arm,
        data.build,
        task.x,
        task.y,
        seed=seed,
        epochs=epochs,
        batch_size=size,
        steps_per_epoch=STEPS_PER_EPOCH,
        validation_data=task.test,
        callbacks=[selection],
    )
    return {
        "accuracy": [round(a, 4) for a in logs["val_accuracy"]],
        "wrong": selection.wrong,
        "base": round(float(task.wrong.mean()), 4),
        "steps": int(session.data.steps or 0) * epochs,
        "seconds": round(time.perf_counter() - begin, 1),
    }


if __name__ == "__main__":
    main()
