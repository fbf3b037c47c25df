"""Sequence length warm-up of a character model: tokens to an equal loss.

Run with `python -m benchmarks.curriculum.warmup`. Rows that are already in
`benchmarks/results/curriculum_warmup.json` are kept; `--fresh` measures all.
A small transformer is trained on the help texts of Python. All arms train for
the same number of steps; with `mode="truncate"` the first steps have fewer
tokens.
"""

import time
from typing import Any

import keras
import numpy as np

from benchmarks.growing import models
from benchmarks.missing_rows import measure_missing
from keras_netopt.callbacks import Curriculum
from keras_netopt.curriculum import SequenceLengthWarmup

NAME = "curriculum_warmup"
LENGTH, BATCH = 64, 32
STEPS_PER_EPOCH, EPOCHS = 100, 12
SHORTEST, END = 8, 0.5
MODEL = {"depth": 2, "heads": 2, "hidden": 192}
RATE = 1e-3
SETTINGS = {
    "data": "Python's help texts",
    "network": MODEL,
    "length": LENGTH,
    "batch": BATCH,
    "steps_an_epoch": STEPS_PER_EPOCH,
    "epochs": EPOCHS,
    "warm-up": f"from {SHORTEST} at the start to {LENGTH} at {END} of the fit",
    "optimizer": f"Adam {RATE}",
}
ARMS = {
    "whole": "full sequences",
    "truncate": '`mode="truncate"`',
    "segment": '`mode="segment"`',
    "segment_short": '`mode="segment"`, full length after a quarter of the fit',
}
ENDS = {"segment_short": 0.25}


class Tokens(keras.callbacks.Callback):
    """Adds the number of tokens trained on to the logs."""

    def __init__(self, lengths: list[int]) -> None:
        super().__init__()
        self._tokens = np.cumsum(lengths)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        last = (epoch + 1) * STEPS_PER_EPOCH - 1
        if logs is not None and last < len(self._tokens):
            logs["tokens"] = int(self._tokens[last])


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, ARMS, train, EPOCHS)


def train(arm: str, seed: int, epochs: int) -> dict[str, Any]:
    """Trains one arm and returns its row."""
    data = models.python_docs(BATCH * STEPS_PER_EPOCH * 5, LENGTH)
    keras.utils.set_random_seed(seed)
    model = models.transformer(
        **MODEL, optimizer=keras.optimizers.Adam(RATE), length=LENGTH
    )
    warmup = None
    if arm != "whole":
        warmup = warmup_of(arm)
    curriculum = Curriculum(
        *data.train,
        difficulty="length",
        ordering="shuffle",
        sequence_length=warmup,
        seed=seed,
        verbose=0,
    )
    batches = curriculum.dataset(BATCH, steps_per_epoch=STEPS_PER_EPOCH)
    begin = time.perf_counter()
    history = model.fit(
        batches,
        epochs=epochs,
        validation_data=data.test,
        validation_batch_size=128,
        verbose=0,
        callbacks=[curriculum, Tokens(tokens_per_step(arm, epochs))],
    ).history
    return {
        "losses": [round(v, 4) for v in history["val_loss"]],
        "tokens": [int(v) for v in history["tokens"]],
        "seconds": round(time.perf_counter() - begin, 1),
    }


def warmup_of(arm: str) -> SequenceLengthWarmup:
    """Returns the warm-up of an arm."""
    return SequenceLengthWarmup(
        SHORTEST,
        LENGTH,
        step_size=SHORTEST,
        end=ENDS.get(arm, END),
        mode=arm.split("_")[0],
    )


def tokens_per_step(arm: str, epochs: int) -> list[int]:
    """Returns the tokens of each step."""
    steps = epochs * STEPS_PER_EPOCH
    if arm == "whole":
        return [BATCH * LENGTH] * steps
    warmup = warmup_of(arm)
    lengths = warmup.lengths(_run(epochs), 0, steps)
    if warmup.mode == "segment":
        lengths = LENGTH // lengths * lengths
    return [int(BATCH * n) for n in lengths]


def _run(epochs: int) -> Any:
    from keras_netopt.points import RunLength

    return RunLength(steps_per_epoch=STEPS_PER_EPOCH, epochs=epochs)


if __name__ == "__main__":
    main()
