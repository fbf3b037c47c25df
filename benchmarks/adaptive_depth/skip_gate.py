"""Skip gates in a residual network: accuracy by execution rate.

Run with `KERAS_BACKEND=jax python -m benchmarks.adaptive_depth.skip_gate`.
Rows in the JSON are kept; `--fresh` measures all again.
"""

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks.adaptive_depth import residual
from benchmarks.missing_rows import measure_missing
from keras_netopt import cost
from keras_netopt.callbacks import ParameterScheduler
from keras_netopt.layers import SkipGate
from keras_netopt.schedules import Linear

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
LONG = 3  # Factor of the training length of arms named "long ...".


@dataclass(frozen=True)
class Arm:
    """A network and its training.

    Args:
        target: Target rate of each gate; `None`: no gates.
        blocks: Number of residual blocks.
        ungated: Number of blocks at the input without a gate.
        times: Length of the training, in units of `EPOCHS`.
        cost: "full": `cost_weight` is 1 throughout; "ramp": it grows from 0
            over the first half; "after": no gates in the first third.
    """

    target: float | None = None
    blocks: int = BLOCKS
    ungated: int = 0
    times: int = 1
    cost: str = "full"


ARMS = {
    "plain": Arm(),
    "0.7": Arm(0.7),
    "0.5": Arm(0.5),
    "0.3": Arm(0.3),
    "half": Arm(blocks=BLOCKS // 2),
    "long plain": Arm(times=LONG),
    "long 0.65": Arm(0.65, times=LONG),
    "long dial": Arm(0.65, times=LONG, cost="ramp"),
    "long after": Arm(0.65, times=LONG, cost="after"),
    "long later": Arm(0.35, ungated=BLOCKS // 2, times=LONG),
    "long both": Arm(0.38, ungated=BLOCKS // 2, times=LONG, cost="after"),
    "long fewer": Arm(blocks=4, times=LONG),
    "long half": Arm(blocks=BLOCKS // 2, times=LONG),
}


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, ARMS, train, EPOCHS)


def branch() -> keras.Layer:
    """Returns a residual branch."""

    def convolution() -> list[keras.Layer]:
        return [
            layers.Conv2D(WIDTH, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
        ]

    return keras.Sequential([*convolution(), layers.ReLU(), *convolution()])


def build(arm: Arm, epochs: int) -> keras.Model:
    """Returns the compiled network of an arm."""
    x = inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(WIDTH, 3, 2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for i in range(arm.blocks):
        if arm.target is None or i < arm.ungated:
            x = layers.Add()([x, branch()(x)])
        else:
            x = SkipGate(branch(), target_rate=arm.target, inference="cond")(x)
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


def train(name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Trains one arm and measures execution rates on test images."""
    (x, y), (x_test, y_test) = residual.load()
    x, x_test = (part.reshape(-1, 28, 28, 1) for part in (x, x_test))
    arm = ARMS[name]
    keras.utils.set_random_seed(seed)
    begin = time.perf_counter()
    model = fitted(arm, x[:IMAGES], y[:IMAGES], epochs * arm.times)
    logits = model.predict(x_test, batch_size=1000, verbose=0)
    shares = execution_rates(model, x_test)
    for layer, share in zip(_gates(model), shares, strict=True):
        layer.execution_rate.assign(share)
    return {
        "accuracy": round(float((logits.argmax(-1) == y_test).mean()), 4),
        "shares": [round(share, 4) for share in shares],
        "macs": round(cost.summarize(model).macs),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def fitted(arm: Arm, x: np.ndarray, y: np.ndarray, epochs: int) -> keras.Model:
    """Returns the trained network of an arm."""
    callbacks, pretrained = [], None
    if arm.cost == "ramp":
        ramp = Linear(final=1.0, begin=0.0, end=0.5)
        callbacks = [ParameterScheduler("cost_weight", ramp)]
    elif arm.cost == "after":
        pretrained = fitted(Arm(), x, y, epochs // 3)
        epochs -= epochs // 3
    model = build(arm, epochs)
    if pretrained is not None:
        _copy_weights(pretrained, model)
    options = {"batch_size": residual.BATCH, "verbose": 0}
    model.fit(x, y, epochs=epochs, callbacks=callbacks, **options)
    return model


def _copy_weights(source: keras.Model, model: keras.Model) -> None:
    """Copies the weights of a network without gates."""

    def weighted_layers(one: keras.Model) -> list[keras.Layer]:
        found = [getattr(layer, "block", layer) for layer in one.layers]
        return [layer for layer in found if layer.weights]

    for own, other in zip(
        weighted_layers(model), weighted_layers(source), strict=True
    ):
        own.set_weights(other.get_weights())


def execution_rates(model: keras.Model, x: np.ndarray) -> list[float]:
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
