"""Time of a mask on one kernel, on the backend of `KERAS_BACKEND`.

Run with `KERAS_BACKEND=torch python -m benchmarks.steps.masking`. `where` is
what masks do on TensorFlow and JAX, and did on torch. The ways take turns on
one thread; CPU time of the process.
"""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.records import Records
from keras_netopt.training.constraint import MaskConstraint, apply_mask

SHAPE = (784, 300)
ROUNDS = 60
CALLS = 20
SETTINGS = {"shape": SHAPE, "rounds": ROUNDS, "calls": CALLS, "threads": 1}


def main() -> None:
    """Measures each way in turns, and writes all rows."""
    records = Records(
        f"masking_{keras.backend.backend()}", SETTINGS, fresh=True
    )
    ways = make_ways()
    times: dict[str, list[float]] = {name: [] for name in ways}
    order = random.Random(0)
    for _ in range(ROUNDS):
        names = list(ways)
        order.shuffle(names)
        for name in names:
            begin = time.process_time()
            for _ in range(CALLS):
                ways[name]()
            times[name].append((time.process_time() - begin) / CALLS)
    for name, found in times.items():
        lower = statistics.quantiles(found, n=4)[0]
        print(f"{name}: {1e6 * lower:.0f} us", flush=True)
        records.add({"arm": name, "seconds": round(lower, 9)})


def make_ways() -> dict[str, Callable[[], Any]]:
    """Returns what to time, by name."""
    rng = np.random.default_rng(0)
    variable = keras.Variable(rng.normal(size=SHAPE).astype("float32"))
    mask = keras.Variable(
        rng.random(SHAPE) < 0.1, trainable=False, dtype="bool"
    )
    tensor = keras.ops.convert_to_tensor(rng.normal(size=SHAPE), "float32")
    constraint = MaskConstraint(mask)

    def where(one: Any) -> Any:
        return keras.ops.where(
            keras.ops.convert_to_tensor(mask),
            keras.ops.convert_to_tensor(one),
            0.0,
        )

    return {
        "gradient, `where`": lambda: where(tensor),
        "gradient, as in a step": lambda: apply_mask(mask, tensor),
        "weight, `where` and a copy": lambda: variable.assign(where(variable)),
        "weight, as in a step": lambda: variable.assign(constraint(variable)),
    }


if __name__ == "__main__":
    main()
