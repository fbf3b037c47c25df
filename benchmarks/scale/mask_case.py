"""One process: memory and CPU time of the mask updates of a large network.

`python -m benchmarks.scale.mask_case TREE ALLOCATION MILLIONS` prints a row as
JSON. TREE is the folder whose `keras_netopt` is measured. `fit` trains eight
steps of a network of equal square layers, with Adam; the updates come after
steps 4 and 6. The first of them prunes weights of a dense network, the second
one continues from masks.
"""

import json
import sys
import time
import zlib
from typing import Any

sys.path.insert(0, sys.argv[1])

import keras
import numpy as np

from benchmarks.scale.peak_memory import PeakMemory, weight_bytes
from keras_netopt import callbacks, schedules

WIDTH = 2048
STEPS, BATCH = 8, 8
UPDATES = {4: "first", 6: "next"}


def main() -> None:
    """Trains once and prints what the updates took."""
    _, allocation, millions = sys.argv[1:]
    model = build(round(int(millions) * 1_000_000 / WIDTH**2))
    callback = callbacks.Pruning(
        schedules.Polynomial(final=0.9, begin=2, end=6),
        allocation=allocation,
        frequency=2,
        min_kept=1,
    )
    row: dict[str, Any] = {"weights": model.count_params()}
    watch(callback, row)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * BATCH, WIDTH)).astype("float32")
    model.fit(
        x, x, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[callback]
    )
    row["masks"] = checksum(model)
    print(json.dumps(row))


def build(layers: int) -> keras.Model:
    """Returns a compiled network whose optimizer has its slots."""
    keras.utils.set_random_seed(0)
    dense = [
        keras.layers.Dense(WIDTH, activation="relu", use_bias=False)
        for _ in range(layers)
    ]
    model = keras.Sequential([keras.Input((WIDTH,)), *dense])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def watch(callback: Any, row: dict[str, Any]) -> None:
    """Measures the calls that update the masks."""
    # Its name before the base classes of callbacks were split.
    name = "on_steps" if hasattr(callback, "on_steps") else "advance"
    original = getattr(callback, name)

    def measured(before: int, after: int) -> None:
        update = UPDATES.get(after)
        if update is None:
            original(before, after)
            return
        memory = PeakMemory()
        with memory:
            cpu = time.process_time()
            original(before, after)
            cpu = time.process_time() - cpu
        row[f"{update} cpu"] = round(cpu, 3)
        share = memory.peak / weight_bytes(callback.model)
        row[f"{update} memory"] = round(share, 3)

    setattr(callback, name, measured)


def checksum(model: keras.Model) -> int:
    """Returns a checksum of the places of the zeros."""
    found = 0
    for variable in model.trainable_variables:
        values = keras.ops.convert_to_numpy(variable.value)
        found = zlib.crc32(np.packbits(values != 0).tobytes(), found)
    return found


if __name__ == "__main__":
    main()
