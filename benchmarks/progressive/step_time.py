"""Time of a training step of the fifth column.

`KERAS_BACKEND=jax python -m benchmarks.progressive.step_time`, likewise with
tensorflow and torch. The arms take turns, batch by batch, so that a load of
the machine meets all of them.
"""

import argparse
import statistics
import time
import warnings
from typing import Any

import keras
import numpy as np

from benchmarks.progressive.growth_columns import COLUMNS
from benchmarks.records import Records
from keras_netopt.progressive import ProgressiveNetwork

TASKS, SHAPE = 5, (14, 14)
KINDS = ("dense", "convolutional")
SCALE = {"dense": 12.0, "convolutional": 2.0}


def compile_model(model: keras.Model) -> keras.Model:
    """Compiles a classifier."""
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def single(kind: str, params: int) -> keras.Model:
    """Returns one network with about as many parameters."""

    def build(width: float) -> keras.Model:
        inputs = keras.Input(SHAPE)
        hidden = COLUMNS[kind](inputs, width)
        return keras.Model(inputs, keras.layers.Dense(2)(hidden[-1]))

    low, high = 1.0, 64.0
    for _ in range(9):
        middle = (low + high) / 2
        if build(middle).count_params() < params:
            low = middle
        else:
            high = middle
    return build(high)


def measure(kind: str, batch: int, rounds: int) -> dict[str, Any]:
    """Returns seconds per step of each arm, and what they hold."""
    rng = np.random.default_rng(0)
    x = rng.random((batch, *SHAPE)).astype("float32")
    y = rng.integers(0, 2, batch)
    scale = SCALE[kind]
    net = ProgressiveNetwork(
        lambda inputs, width=1.0: COLUMNS[kind](inputs, scale * width),
        keras.Input(SHAPE),
        lateral="all",
        adapter_width=16,
    )
    for _ in range(TASKS):
        task = net.add_task(keras.layers.Dense(2))
    compile_model(task)
    cached = net.cache_features(net.tasks[-1], x)
    alone = compile_model(single(kind, task.count_params()))
    arms = {
        "fifth column": (task, x),
        "cached features": (cached.model, cached.x),
        "single network": (alone, x),
    }
    for model, inputs in arms.values():
        for _ in range(3):
            _step(model, inputs, y)
    times: dict[str, list[float]] = {name: [] for name in arms}
    order = list(arms)
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            model, inputs = arms[name]
            start = time.perf_counter()
            _step(model, inputs, y)
            times[name].append(time.perf_counter() - start)
    reference = times["single network"]
    return {
        "params": {
            name: model.count_params() for name, (model, _) in arms.items()
        },
        "trained": {
            name: sum(int(np.prod(v.shape)) for v in model.trainable_variables)
            for name, (model, _) in arms.items()
        },
        "ratios": {
            name: round(
                statistics.median(
                    a / b for a, b in zip(values, reference, strict=True)
                ),
                3,
            )
            for name, values in times.items()
        },
        "quartiles": {
            name: [
                round(float(q), 2)
                for q in np.percentile(
                    np.array(values) / np.array(reference), [25, 75]
                )
            ]
            for name, values in times.items()
        },
        "rounds": rounds,
    }


def _step(model: keras.Model, x: Any, y: Any) -> None:
    """One step; its loss is read, so that the step has ended."""
    np.asarray(model.train_on_batch(x, y))


def main() -> None:
    """Measures all kinds on the backend in use."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--columns", nargs="+", default=list(KINDS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    backend = keras.backend.backend()
    records = Records(
        f"progressive_step_time_{backend}",
        {"tasks": TASKS, "scale": SCALE},
    )
    for kind in arguments.columns:
        key = {"columns": kind, "batch": arguments.batch}
        if records.find(**key) is None:
            found = measure(kind, arguments.batch, arguments.rounds)
            row = {**key, **found}
            records.add(row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
