"""Parity of 8 to 16 bits: steps and accuracy of ACT and PonderNet.

Run with `KERAS_BACKEND=jax python -m benchmarks.adaptive_depth.parity`. A
sample is a row of bits, 1 and -1, padded with zeros. The cell reads the first
number of the row and shifts the row by one, so n bits need n steps. The longest
row grows during training. Steps are N for ACT and the expectation for
PonderNet, which halts at the median.
"""

import time
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks.missing_rows import measure_missing
from keras_netopt.depth import PonderModel
from keras_netopt.layers import AdaptiveComputation

NAME = "parity"
BITS, UNITS, MAX_STEPS = 16, 32, 20
LENGTHS = tuple(range(8, BITS + 1))
LONGEST = (2, 4, 6, 8, 10, 12, 14, 16, 16)
PHASE, BATCH, RATE = 256, 128, 3e-3
SAMPLES = 1000
START = -float(np.log(9.0))
SETTINGS = {
    "network": f"GRU cell of {UNITS} units, {MAX_STEPS} steps at most",
    "longest row by phase": list(LONGEST),
    "steps of a phase": PHASE,
    "batch": BATCH,
    "optimizer": f"Adam {RATE}, global_clipnorm 1",
    "test": f"{SAMPLES} rows a length",
}
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "act": ("ACT, cost 0.001", {"mode": "act", "ponder_cost": 1e-3}),
    "act_long": (
        "ACT, cost 0.001, initial h 0.1",
        {"mode": "act", "ponder_cost": 1e-3},
    ),
    "ponder": (
        "PonderNet, prior 0.1",
        {"mode": "ponder", "prior": 0.1, "halt_at": 0.5},
    ),
}


class ReadBit(layers.Layer):
    """Reads one number of the row in the state."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell = layers.GRUCell(UNITS)

    def build(self, shape: Any) -> None:
        """Builds the cell for one number per step."""
        self.cell.build((shape[0], 1))

    def call(self, state: Any) -> Any:
        """Returns the new memory and the row, shifted by one."""
        memory, row = state[:, :UNITS], state[:, UNITS:]
        _, (memory,) = self.cell(row[:, :1], [memory])
        row = ops.concatenate([row[:, 1:], row[:, :1] * 0.0], axis=1)
        return ops.concatenate([memory, row], axis=1)


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, ARMS, train, PHASE)


def build(arm: str) -> tuple[keras.Model, AdaptiveComputation]:
    """Returns the compiled network, and the layer in it."""
    inputs = keras.Input((UNITS + BITS,))
    arguments = ARMS[arm][1]
    halting = AdaptiveComputation(ReadBit(), MAX_STEPS, **arguments)
    memory = halting(inputs)[:, :UNITS]
    if arm == "act_long":  # The initial h of PonderNet with this prior.
        halting.halting.bias.assign([START])
    kind = PonderModel if arguments["mode"] == "ponder" else keras.Model
    model = kind(inputs, layers.Dense(2)(memory))
    model.compile(
        keras.optimizers.Adam(RATE, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() == "jax",
    )
    return model, halting


def rows(
    rng: np.random.Generator, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns states with an empty memory, and the parity of the ones."""
    bits = rng.choice([-1.0, 1.0], (len(lengths), BITS))
    bits = bits * (np.arange(BITS) < lengths[:, None])
    memory = np.zeros((len(lengths), UNITS))
    states = np.concatenate([memory, bits], axis=1).astype("float32")
    return states, ((bits > 0).sum(axis=1) % 2).astype("int32")


def train(arm: str, seed: int, steps: int) -> dict[str, Any]:
    """Trains one arm with growing rows and measures each length."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model, halting = build(arm)
    begin = time.perf_counter()
    losses = []
    for longest in LONGEST:
        lengths = rng.integers(1, longest + 1, steps * BATCH)
        x, y = rows(rng, lengths)
        found = model.fit(x, y, batch_size=BATCH, verbose=0).history
        losses.append(round(found["loss"][0], 4))
    seconds = time.perf_counter() - begin
    accuracy, counts = [], []
    test = np.random.default_rng(100)
    for length in LENGTHS:
        x, y = rows(test, np.full(SAMPLES, length))
        logits = model.predict(x, batch_size=SAMPLES, verbose=0)
        accuracy.append(round(float((logits.argmax(-1) == y).mean()), 4))
        count = ops.mean(halting.count_steps(ops.convert_to_tensor(x)))
        counts.append(round(float(count), 2))
    return {
        "accuracy": accuracy,
        "steps": counts,
        "losses": losses,
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
