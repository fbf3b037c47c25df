"""Skip gates in a residual network: accuracy by the share of blocks that run.

Run with `KERAS_BACKEND=jax python -m benchmarks.adaptive_depth.skip_gate`.
Rows that are already in the JSON are kept; `--fresh` measures all.
"""

import time
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks.adaptive_depth import residual
from benchmarks.missing_rows import measure_missing
from keras_netopt import cost
from keras_netopt.layers import SkipGate

NAME = "skip_gate"
BLOCKS, WIDTH, EPOCHS, RATE = 6, 16, 6, 2e-3
IMAGES = 12_000
SETTINGS = {
    "data": f"Fashion-MNIST, {IMAGES:,} train, 10,000 test",
    "network": f"{BLOCKS} residual blocks of two 3x3 convolutions, {WIDTH} "
    "channels, 14 x 14",
    "optimizer": f"Adam {RATE}, cosine",
    "batch": residual.BATCH,
    "epochs": EPOCHS,
}
# Share of the samples that should run each block; `None` has no gates, the
# last arm has fewer blocks instead.
ARMS: dict[str, float | None] = {
    "plain": None,
    "0.7": 0.7,
    "0.5": 0.5,
    "0.3": 0.3,
    "half": None,
}


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, ARMS, train, EPOCHS)


def branch() -> keras.Layer:
    """Returns what a residual block adds to its input."""

    def convolution() -> list[keras.Layer]:
        return [
            layers.Conv2D(WIDTH, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
        ]

    return keras.Sequential([*convolution(), layers.ReLU(), *convolution()])


def build(arm: str, epochs: int) -> keras.Model:
    """Returns the compiled network of an arm."""
    target = ARMS[arm]
    x = inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(WIDTH, 3, 2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for _ in range(BLOCKS // 2 if arm == "half" else BLOCKS):
        if target is None:
            x = layers.Add()([x, branch()(x)])
        else:
            x = SkipGate(branch(), target=target, inference="cond")(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    model = keras.Model(inputs, layers.Dense(residual.CLASSES)(x))
    steps = epochs * (IMAGES // residual.BATCH)
    model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(RATE, steps)
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


def train(arm: str, seed: int, epochs: int) -> dict[str, Any]:
    """Trains one arm; counts the blocks that test images run."""
    (x, y), (x_test, y_test) = residual.load()
    x, x_test = (part.reshape(-1, 28, 28, 1) for part in (x, x_test))
    x, y = x[:IMAGES], y[:IMAGES]
    keras.utils.set_random_seed(seed)
    model = build(arm, epochs)
    begin = time.perf_counter()
    model.fit(x, y, batch_size=residual.BATCH, epochs=epochs, verbose=0)
    answers = model.predict(x_test, batch_size=1000, verbose=0)
    shares = run_shares(model, x_test)
    for layer, share in zip(_gates(model), shares, strict=True):
        layer.executed.assign(share)
    return {
        "accuracy": round(float((answers.argmax(-1) == y_test).mean()), 4),
        "shares": [round(share, 4) for share in shares],
        "macs": round(cost.summarize(model).macs),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def run_shares(model: keras.Model, x: np.ndarray) -> list[float]:
    """Returns the share of samples that run each block, gate by gate."""
    gates = _gates(model)
    if not gates:
        return []
    inputs = keras.Model(model.inputs, [layer.input for layer in gates])
    counts = np.zeros(len(gates))
    for start in range(0, len(x), 1000):
        states = inputs.predict_on_batch(x[start : start + 1000])
        for k, (layer, state) in enumerate(zip(gates, states, strict=True)):
            logits = keras.ops.convert_to_numpy(layer.gate(state))
            counts[k] += (logits > 0).sum()
    return [float(count) for count in counts / len(x)]


def _gates(model: keras.Model) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, SkipGate)]


if __name__ == "__main__":
    main()
