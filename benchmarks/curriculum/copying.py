"""Reversal of sequences: short sequences first against mixed lengths.

Run with `python -m benchmarks.curriculum.copying`. A recurrent network reads
digits and writes them in reverse order. The difficulty is the length. The
result is the number of steps until 95 % of the tokens of unseen sequences of
all lengths are correct.
"""

import time
from typing import Any

import keras
import numpy as np

from benchmarks.missing_rows import measure_missing
from keras_netopt.curriculum import Arm, pacing_function
from keras_netopt.curriculum.train_arm import train_arm

NAME = "curriculum_copying"
TOKENS = 8
LONGEST, SHORTEST = 10, 2
SAMPLES, TESTED = 20_000, 1_000
BATCH, STEPS_PER_EPOCH, EPOCHS = 64, 100, 30
UNITS = 128
TARGET = 0.95
SETTINGS = {
    "data": f"{SAMPLES} sequences of {SHORTEST} to {LONGEST} of {TOKENS} "
    "tokens, as many of each length",
    "network": f"GRU {UNITS}, its last state repeated, GRU {UNITS}",
    "optimizer": "Adam 2e-3, global_clipnorm 1",
    "batch": BATCH,
    "steps_an_epoch": STEPS_PER_EPOCH,
    "epochs": EPOCHS,
    "target": TARGET,
}
ARMS = {
    "shuffle": "mixed lengths (`shuffle`)",
    "random": "random order (control)",
    "easy_first": "`easy_first` by length",
    "quick": "`easy_first`, all lengths after a fifth of the fit",
    "gentle": "`easy_first`, half of the data at the start",
}
# Name, initial share and end of the pacing of each arm.
PACINGS = {
    "quick": ("competence", 0.1, 0.2),
    "gentle": ("linear", 0.5, 0.2),
}
DEFAULT_PACING = ("competence", 0.1, 0.5)


def sequences(
    count: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns padded sequences, their reversals and the weights of tokens."""
    rng = np.random.default_rng(seed)
    lengths = SHORTEST + np.arange(count) % (LONGEST - SHORTEST + 1)
    inside = np.arange(LONGEST) < lengths[:, None]
    x = rng.integers(1, TOKENS + 1, (count, LONGEST)) * inside
    source = np.maximum(lengths[:, None] - 1 - np.arange(LONGEST), 0)
    y = np.take_along_axis(x, source, axis=1) * inside
    return x.astype("int32"), y.astype("int32"), inside.astype("float32")


def build() -> keras.Model:
    """Returns the compiled network."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((LONGEST,), dtype="int32"),
            layers.Embedding(TOKENS + 1, 32, mask_zero=True),
            layers.GRU(UNITS),
            layers.RepeatVector(LONGEST),
            layers.GRU(UNITS, return_sequences=True),
            layers.Dense(TOKENS + 1),
        ]
    )
    model.compile(
        keras.optimizers.Adam(2e-3, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
        weighted_metrics=["accuracy"],
    )
    return model


class StopAt(keras.callbacks.Callback):
    """Stops training at the target."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs and logs["val_accuracy"] >= TARGET:
            self.model.stop_training = True


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, ARMS, train, EPOCHS)


def train(name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Trains one arm and returns its row."""
    x, y, weight = sequences(SAMPLES, seed)
    begin = time.perf_counter()
    logs, session = train_arm(
        Arm("easy_first" if name in PACINGS else name),
        build,
        x,
        y,
        seed=seed,
        epochs=epochs,
        batch_size=BATCH,
        steps_per_epoch=STEPS_PER_EPOCH,
        validation_data=sequences(TESTED, 10_000 + seed),
        callbacks=[StopAt()],
        sample_weight=weight,
        difficulty="length",
        pacing=pacing_function(*PACINGS.get(name, DEFAULT_PACING)),
    )
    curve = [round(a, 4) for a in logs["val_accuracy"]]
    return {
        "accuracy": curve,
        "steps": len(curve) * session.data.steps
        if curve[-1] >= TARGET
        else None,
        "seconds": round(time.perf_counter() - begin, 1),
    }


if __name__ == "__main__":
    main()
