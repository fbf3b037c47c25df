"""CPU time of a training step of a supernet, and its memory.

Run with `KERAS_BACKEND=jax python -m benchmarks.nas.step_overhead`, and with
tensorflow and torch. All arms run in one process and one thread in turns; each
time is divided by that of the largest network alone in the same round.
"largest network again" is a second one, whose deviation from 1 is noise. The
peak of the resident memory is measured in a process per arm, less what the
process holds before the model is made.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
)

import keras  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.nas import overhead_nets  # noqa: E402
from benchmarks.records import Records  # noqa: E402
from benchmarks.turns import Fit, take_turns  # noqa: E402
from keras_netopt.search.supernet.cost import (  # noqa: E402
    architecture_macs,
    architecture_params,
)

ROUNDS = 15
STEPS = 15
BATCH = 64
MEMORY_BATCH = 1024
MEMORY_ARMS = tuple(a for a in overhead_nets.ARMS if not a.endswith("again"))
SETTINGS = {
    "network": f"{overhead_nets.CHOICES} choices of 4 candidates, width "
    f"{overhead_nets.WIDTH}, inputs {overhead_nets.SIZE} x "
    f"{overhead_nets.SIZE}",
    "optimizer": "SGD with momentum",
    "batch": BATCH,
    "steps a round": STEPS,
    "rounds": ROUNDS,
    "batch for memory": MEMORY_BATCH,
}


def main() -> None:
    """Measures on the current backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--memory-of")
    options = parser.parse_args()
    if options.memory_of:
        print(memory(options.memory_of))
        return
    backend = keras.backend.backend()
    records = Records(
        f"nas_step_overhead_{backend}", SETTINGS, fresh=options.fresh
    )
    if records.rows:
        return
    fits = {a: _fit(a, BATCH, STEPS) for a in overhead_nets.ARMS}
    for fit in fits.values():
        fit()
    # Written at once: a partial comparison is invalid.
    for row in list(take_turns(fits, ROUNDS)):
        records.add({"what": "time", **row})
    for name in MEMORY_ARMS:
        records.add({"what": "memory", "arm": name, "MB": _memory_of(name)})
    model = overhead_nets.supernet()
    largest = overhead_nets.LARGEST
    records.add(
        {
            "what": "size",
            "macs": architecture_macs(model, largest),
            "params": architecture_params(model, largest),
            "supernet params": model.count_params(),
        }
    )


def memory(name: str) -> float:
    """Returns the growth of the peak of this process by two steps, in MB."""
    fit = _fit(name, MEMORY_BATCH, 2, make_now=False)
    before = _peak()
    fit()
    return round(_peak() - before, 1)


def _fit(name: str, batch: int, steps: int, *, make_now: bool = True) -> Fit:
    rng = np.random.default_rng(0)
    size = overhead_nets.SIZE
    x = rng.normal(size=(batch * steps, size, size, 1)).astype("float32")
    y = rng.integers(0, 10, len(x))
    made = [overhead_nets.arm(name)] if make_now else []

    def fit() -> Any:
        model = made[0] if made else overhead_nets.arm(name)
        return model.fit(x, y, batch_size=batch, verbose=0)

    return fit


def _memory_of(name: str) -> float:
    command = [sys.executable, "-m", "benchmarks.nas.step_overhead"]
    found = subprocess.run(
        [*command, "--memory-of", name],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(found.stdout.split()[-1])


def _peak() -> float:
    # `getrusage` would give a child the peak of its parent.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
