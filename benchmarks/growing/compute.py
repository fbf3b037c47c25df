"""Compute to the large network's result, grown or trained from scratch.

Run with `python -m benchmarks.growing.compute`. Rows that are already in
`benchmarks/results/growing_compute.json` are kept; `--fresh` measures all.
Compute is counted in training MACs: 3 x samples x MACs of the network at that
step. All arms have the same learning rate over the share of their training.
"""

import argparse
import time
from typing import Any

import keras

from benchmarks.growing import models
from benchmarks.growing.tasks import TASKS, Task, rate
from benchmarks.records import Records
from keras_netopt.callbacks.compute_tracker import ComputeTracker
from keras_netopt.callbacks.growing import Growing

NAME = "growing_compute"
ARMS = {
    "scratch": "large, from scratch",
    "grown": "grown",
    "scratch_equal": "large, from scratch, MACs of grown",
    "grown_random": 'grown, `new_units="random"`',
    "small": "small, not grown",
}
GROWN_UNITS = {"grown": "zero", "grown_random": "random"}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    parser.add_argument("--epochs", type=int, help="for trying things out")
    options = parser.parse_args()
    name = NAME if options.epochs is None else f"{NAME}_try"
    records = Records(name, _settings(), fresh=options.fresh)
    for task in options.tasks:
        data = TASKS[task].data()
        for seed in range(options.seeds):
            for arm in options.arms:
                measure(records, data, task, arm, seed, options.epochs)


def measure(
    records: Records,
    data: models.Data,
    task: str,
    arm: str,
    seed: int,
    epochs: int | None = None,
) -> None:
    """Measures the row of an arm and seed if it is not there yet."""
    if records.find(task=task, arm=arm, seed=seed):
        return
    chosen = TASKS[task]
    count = epochs or (
        chosen.grown_epochs if arm in GROWN_UNITS else chosen.epochs
    )
    if arm == "scratch_equal":
        grown = records.find(task=task, arm="grown", seed=seed)
        whole = records.find(task=task, arm="scratch", seed=seed)
        if grown is None or whole is None:
            raise ValueError(
                "Arm `scratch_equal` needs the compute of the arms `scratch` "
                f"and `grown` of the same seed. Received: seed={seed}"
            )
        count = max(1, round(count * grown["macs"][-1] / whole["macs"][-1]))
    row = run(chosen, data, arm, seed, count)
    records.add({"task": task, "arm": arm, "seed": seed, **row})
    print(
        f"{task}, {arm}, seed {seed}: {row['values'][-1]:.4f} after "
        f"{row['macs'][-1] / 1e9:.0f} G MACs, {count} epochs "
        f"({row['seconds']:.0f} s)",
        flush=True,
    )


def run(
    task: Task, data: models.Data, arm: str, seed: int, epochs: int
) -> dict[str, Any]:
    """Trains one arm."""
    keras.utils.set_random_seed(seed)
    model = task.large() if arm.startswith("scratch") else task.small()
    clock, counter = Clock(), ComputeTracker()
    callbacks: list[Any] = [Rate(epochs), counter, clock]
    growing = None
    if arm in GROWN_UNITS:
        growing = Growing(
            list(task.actions),
            task.points,
            new_units=GROWN_UNITS[arm],
            calibration_data=data.test[0][:128],
            verbose=0,
        )
        callbacks.insert(0, growing)
    batches = models.shuffled(data.train, seed)
    if task.steps is not None:
        batches = batches.repeat()
    history = model.fit(
        batches,
        shuffle=False,
        epochs=epochs,
        steps_per_epoch=task.steps,
        validation_data=data.test,
        validation_batch_size=256,
        callbacks=callbacks,
        verbose=0,
    ).history
    return {
        "epochs": epochs,
        "values": [round(float(v), 5) for v in history[task.metric]],
        "losses": [round(float(v), 5) for v in history["loss"]],
        "macs": [int(v) for v in history["training_macs"]],
        "seconds": round(clock.seconds, 1),
        "params": model.count_params(),
        "moved": max(history["max_output_change"])
        if growing is not None
        else 0.0,
    }


class Rate(keras.callbacks.Callback):
    """Sets the learning rate of every epoch by the share of the training.

    Args:
        epochs: Epochs of the whole training.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs
        self._full: float | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        optimizer = self.model.optimizer
        if self._full is None:
            self._full = float(
                keras.ops.convert_to_numpy(optimizer.learning_rate)
            )
        optimizer.learning_rate = self._full * rate((epoch + 0.5) / self.epochs)


class Clock(keras.callbacks.Callback):
    """Measures the time of training, growth and compilation included."""

    seconds = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        """Called by Keras."""
        self._begin = time.perf_counter()

    def on_train_end(self, logs: Any = None) -> None:
        """Called by Keras."""
        self.seconds = time.perf_counter() - self._begin


def _settings() -> dict[str, Any]:
    return {
        name: {
            "title": task.title,
            "epochs": task.epochs,
            "epochs of grown": task.grown_epochs,
            "batch": models.BATCH,
            "points": {str(k): v for k, v in task.points.items()},
            "actions": [str(action.get_config()) for action in task.actions],
        }
        for name, task in TASKS.items()
    }


if __name__ == "__main__":
    main()
