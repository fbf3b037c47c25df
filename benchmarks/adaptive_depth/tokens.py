"""Mixture-of-Depths on a character model: loss at equal MACs.

Run with `KERAS_BACKEND=jax python -m benchmarks.adaptive_depth.tokens`. Every
second block is mixed. All arms train with the same MACs, so arms with less
capacity take more steps; validation losses are those of causal decoding.
"""

import time
from typing import Any

import keras
from keras import layers

from benchmarks.growing import models
from benchmarks.missing_rows import measure_missing
from keras_netopt import cost
from keras_netopt.layers import MixtureOfDepths

NAME = "mixture_of_depths"
DEPTH, HEADS, HIDDEN = 4, 2, 384
STEPS, BATCH, RATE = 800, 32, 1e-3
SETTINGS = {
    "data": "Python's help texts",
    "network": f"{DEPTH} blocks, width {models.WIDTH}, hidden {HIDDEN}",
    "length": models.LENGTH,
    "batch": BATCH,
    "steps of the plain network": STEPS,
    "optimizer": f"Adam {RATE}",
    "mixed": "every second block",
}
CAPACITIES = {
    "plain": None,
    "1": 1.0,
    "1/2": 0.5,
    "1/4": 0.25,
    "1/8": 0.125,
}


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, CAPACITIES, train, STEPS)


def build(capacity: float | None) -> keras.Model:
    """Returns the compiled network.

    Args:
        capacity: Share of the tokens in every second block; `None` for
            ordinary blocks.
    """
    inputs = keras.Input((models.LENGTH,), dtype="int32")
    x = layers.Embedding(models.letters(), models.WIDTH)(inputs)
    x = models.AddPosition()(x)
    for i in range(DEPTH):
        if i % 2 and capacity is not None:
            x = MixtureOfDepths(branch(), capacity=capacity, causal=True)(x)
        else:
            x = layers.Add()([x, branch()(x)])
    x = layers.LayerNormalization()(x)
    model = keras.Model(inputs, layers.Dense(models.letters())(x))
    model.compile(
        keras.optimizers.Adam(RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


def branch() -> keras.Model:
    """Returns attention and feed-forward layer as a residual branch."""
    x = keras.Input((None, models.WIDTH))
    h = layers.LayerNormalization()(x)
    h = layers.MultiHeadAttention(HEADS, models.HEAD)(
        h, h, use_causal_mask=True
    )
    y = layers.LayerNormalization()(layers.Add()([x, h]))
    y = layers.Dense(models.WIDTH)(layers.Dense(HIDDEN, activation="gelu")(y))
    return keras.Model(x, layers.Add()([h, y]))


def train(arm: str, seed: int, steps: int) -> dict[str, Any]:
    """Trains one arm with the MACs of the plain network."""
    keras.utils.set_random_seed(seed)
    model = build(CAPACITIES[arm])
    macs = [cost.summarize(m).macs for m in (build(None), model)]
    steps = round(steps * macs[0] / macs[1])
    data = models.python_docs(BATCH * STEPS)
    clock = Clock()
    epochs = 8
    history = model.fit(
        models.shuffled(data.train, seed, BATCH).repeat(),
        epochs=epochs,
        steps_per_epoch=max(1, steps // epochs),
        validation_data=data.test,
        validation_batch_size=128,
        callbacks=[clock],
        verbose=0,
    ).history
    return {
        "macs": macs[1],
        "steps": max(1, steps // epochs) * epochs,
        "losses": [round(v, 4) for v in history["val_loss"]],
        "train_losses": [round(v, 4) for v in history["loss"]],
        "seconds": round(clock.seconds, 1),
    }


class Clock(keras.callbacks.Callback):
    """Sums the time of all epochs but the first, which compiles."""

    seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        if epoch:
            self.seconds += time.perf_counter() - self._begin


if __name__ == "__main__":
    main()
