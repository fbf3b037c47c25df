"""Weight normalization against no normalization and batch normalization.

Run as `python -m benchmarks.progressive.weight_normalization`, on JAX. Rows in
the JSON are kept; `--fresh` measures all.
"""

import time
from typing import Any

import keras
import numpy as np

from benchmarks.missing_rows import measure_missing
from benchmarks.progressive import warm_start as data
from keras_netopt import fine_tuning

NAME = "progressive_weight_normalization"
SAMPLES, EPOCHS, DEPTH, WIDTH, TEST = 2_000, 10, 6, 64, 5_000
BATCHES = (50, 4)
SETTINGS = {
    "data": f"Fashion-MNIST pooled to 14 x 14, {SAMPLES:,} images, {TEST:,} "
    "test images",
    "epochs": EPOCHS,
    "network": f"MLP with {DEPTH} hidden layers of {WIDTH} ReLU",
    "optimizer": "Adam, 1e-3",
    "batch normalization": "momentum 0.9",
}
ARMS = ("plain", "weight", "weight, from data", "batch")


class _CpuTime(keras.callbacks.Callback):
    """Notes the CPU seconds of each epoch, without its validation."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._begin = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self._begin = time.process_time()

    def on_test_begin(self, logs: Any = None) -> None:
        """Called by Keras before the validation."""
        self.seconds.append(time.process_time() - self._begin)


def main() -> None:
    """Measures every missing row."""
    arms = [f"{batch}: {arm}" for batch in BATCHES for arm in ARMS]
    measure_missing(NAME, SETTINGS, arms, train, EPOCHS)


def train(name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Trains one arm."""
    batch, arm = name.split(": ")
    x, y, *test = load(seed)
    model = build(arm, seed, x[:500])
    clock = _CpuTime()
    keras.utils.set_random_seed(100 + seed)
    history = model.fit(
        x,
        y,
        batch_size=int(batch),
        epochs=epochs,
        validation_data=test,
        validation_batch_size=TEST,
        callbacks=[clock],
        verbose=0,
    ).history
    steps = -(-len(x) // int(batch))
    return {
        "accuracy": round(history["val_accuracy"][-1], 4),
        "first": round(history["val_accuracy"][0], 4),
        "loss": [round(float(one), 4) for one in history["loss"]],
        # The first epoch compiles the step.
        "cpu": round(float(np.median(clock.seconds[1:])) / steps, 6),
    }


def build(arm: str, seed: int, x: np.ndarray) -> keras.Model:
    """Returns a compiled network with initial values."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    body: list[Any] = [layers.Flatten()]
    for _ in range(DEPTH):
        body.append(layers.Dense(WIDTH))
        if arm == "batch":
            body.append(layers.BatchNormalization(momentum=0.9))
        body.append(layers.ReLU())
    model = keras.Sequential(
        [keras.Input((14, 14, 1)), *body, layers.Dense(10)]
    )
    if arm.startswith("weight"):
        model = fine_tuning.add_weight_normalization(model)
    if arm == "weight, from data":
        fine_tuning.initialize_weight_normalization(model, x)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def load(seed: int) -> tuple[np.ndarray, ...]:
    """Returns images and labels of a seed, and the test data."""
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    chosen = np.random.default_rng(seed).permutation(len(x))[:SAMPLES]
    return (
        data.pool(x[chosen]),
        y[chosen].astype("int32"),
        data.pool(x_test[:TEST]),
        y_test[:TEST].astype("int32"),
    )


if __name__ == "__main__":
    main()
