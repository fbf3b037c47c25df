"""Time and memory of single mask updates of a large network.

`python -m benchmarks.sparse_training.update_cost rigl` prints them as JSON.
The extra memory is the largest resident memory during an update, less the
resident memory before it (Linux, median of the updates), and the largest sum
of numpy's arrays.
"""

import json
import statistics
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_netopt import callbacks

WIDTHS = (784, 2048, 2048, 2048, 10)
SPARSITY = 0.9
FREQUENCY = 4
STEPS = 40
BATCH = 8
METHODS = {
    "pruning": lambda: callbacks.Pruning(SPARSITY, frequency=FREQUENCY),
    "set": lambda: callbacks.SparseTraining(
        SPARSITY, regrow="random", frequency=FREQUENCY
    ),
    "rigl": lambda: callbacks.SparseTraining(
        SPARSITY, regrow="gradient", frequency=FREQUENCY
    ),
}
STATUS = Path("/proc/self/status")


def main() -> None:
    """Trains twice, once for the time and once for numpy's memory."""
    method = sys.argv[1]
    timed = _train(METHODS[method](), traced=False)
    traced = _train(METHODS[method](), traced=True)
    weights = sum(a * b for a, b in zip(WIDTHS, WIDTHS[1:], strict=False))
    row = {
        "weights": weights,
        "model_bytes": 4 * weights,
        "updates": len(timed),
        "cpu": statistics.median(one["cpu"] for one in timed),
        "wall": statistics.median(one["wall"] for one in timed),
        "resident": statistics.median(one["resident"] for one in timed),
        "numpy": max(one["numpy"] for one in traced),
    }
    print(json.dumps(row))


def _train(callback: Any, traced: bool) -> list[dict[str, float]]:
    keras.utils.set_random_seed(0)
    stack = [keras.layers.Dense(n, activation="relu") for n in WIDTHS[1:-1]]
    model = keras.Sequential(
        [keras.Input(WIDTHS[:1]), *stack, keras.layers.Dense(WIDTHS[-1])]
    )
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * BATCH, WIDTHS[0])).astype("float32")
    y = rng.integers(0, WIDTHS[-1], STEPS * BATCH)
    rows: list[dict[str, float]] = []
    _watch(callback, rows, traced)
    model.fit(
        x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[callback]
    )
    return rows


def _watch(callback: Any, rows: list[dict[str, float]], traced: bool) -> None:
    """Measures each call of `on_steps` that changes a mask.

    The first change is left out: it compiles small functions.
    """
    original = callback.on_steps

    def on_steps(before: int, after: int) -> None:
        old = _masks(callback.model)
        Path("/proc/self/clear_refs").write_text("5")
        resident = _memory("VmRSS")
        if traced:
            tracemalloc.start()
        wall, cpu = time.perf_counter(), time.process_time()
        original(before, after)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        numpy = tracemalloc.get_traced_memory()[1] if traced else 0
        tracemalloc.stop()
        peak = _memory("VmHWM")
        new = _masks(callback.model)
        if any(not np.array_equal(new[key], old[key]) for key in new):
            found.append(
                {
                    "wall": round(wall, 4),
                    "cpu": round(cpu, 4),
                    "resident": peak - resident,
                    "numpy": numpy,
                }
            )
            rows[:] = found[1:]

    found: list[dict[str, float]] = []
    callback.on_steps = on_steps


def _masks(model: keras.Model) -> dict[str, np.ndarray]:
    from keras_netopt.training import MaskStore

    store = MaskStore.of(model)
    return {} if store is None else store.masks()


def _memory(name: str) -> int:
    """Returns a value of the process in bytes."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"{STATUS} has no {name}")


if __name__ == "__main__":
    main()
