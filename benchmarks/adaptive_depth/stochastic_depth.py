"""Stochastic depth and LayerDrop: accuracy, whole and at half depth.

Run with `python -m benchmarks.adaptive_depth.stochastic_depth` on JAX. Rows
in the JSON are kept; `--fresh` measures all again; `--limit 1` is a trial that
writes nothing. `step_time` measures step times.
"""

import time
from collections.abc import Callable
from typing import Any

import keras

from benchmarks.adaptive_depth import residual
from benchmarks.missing_rows import measure_missing
from keras_netopt import depth

NAME = "stochastic_depth"
EPOCHS = 10
SETTINGS = {
    "data": f"Fashion-MNIST, {residual.IMAGES:,} train, 10,000 test",
    "network": f"{residual.BLOCKS} residual blocks, width {residual.UNITS}",
    "optimizer": f"Adam {residual.RATE}, global_clipnorm 1",
    "batch": residual.BATCH,
    "epochs": EPOCHS,
}
ARMS: dict[str, tuple[str, Callable[[int], Any]]] = {
    "plain": ("ordinary residual network", lambda seed: residual.plain()),
    "batch": (
        '`StochasticDepth`, "batch", to 0.5',
        lambda seed: residual.stochastic(0.5, "batch", seed),
    ),
    "sample": (
        '`StochasticDepth`, "sample", to 0.5',
        lambda seed: residual.stochastic(0.5, "sample", seed),
    ),
    "drop_zero": (
        "`LayerDrop`, rate 0",
        lambda seed: residual.layer_drop(0.0, seed),
    ),
    "drop": (
        "`LayerDrop`, rate 0.2",
        lambda seed: residual.layer_drop(0.2, seed),
    ),
    "drop_half": (
        "`LayerDrop`, rate 0.5",
        lambda seed: residual.layer_drop(0.5, seed),
    ),
}


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, ARMS, train, EPOCHS)


def train(arm: str, seed: int, epochs: int) -> dict[str, Any]:
    """Trains one arm and returns its row."""
    (x, y), test = residual.load()
    keras.utils.set_random_seed(seed)
    model = ARMS[arm][1](seed)
    begin = time.perf_counter()
    history = model.fit(
        x,
        y,
        batch_size=residual.BATCH,
        epochs=epochs,
        validation_data=test,
        validation_batch_size=1000,
        verbose=0,
    ).history
    row = {
        "accuracy": [round(v, 4) for v in history["val_accuracy"]],
        "loss": [round(v, 4) for v in history["loss"]],
        "seconds": round(time.perf_counter() - begin, 1),
    }
    if arm.startswith("drop"):
        half = depth.extract_subnetwork(model, keep="every_other")
        row["half"] = round(accuracy(half, test), 4)
        row["params"] = [model.count_params(), half.count_params()]
    return row


def accuracy(model: Any, test: residual.Pair) -> float:
    """Returns the accuracy."""
    x, y = test
    classes = model.predict(x, batch_size=1000, verbose=0).argmax(axis=-1)
    return float((classes == y).mean())


if __name__ == "__main__":
    main()
