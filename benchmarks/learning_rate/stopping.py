"""Learning curves for the comparison of early stopping rules.

Run with `KERAS_BACKEND=torch python -m benchmarks.learning_rate.stopping`.
One training serves all rules: a rule does not change the training before its
stop. Rows in the JSON are kept; `--fresh` measures all.
"""

import time
from typing import Any

import keras
import numpy as np

from benchmarks.learning_rate.data import HELD_OUT, load, mislabel
from benchmarks.missing_rows import measure_missing

NAME = "early_stopping"
IMAGES, EPOCHS, BATCH, WRONG = 2_000, 60, 64, 0.2
SETTINGS = {
    "data": f"Fashion-MNIST, {IMAGES:,} train, {HELD_OUT:,} held out, "
    "10,000 test",
    "epochs": EPOCHS,
    "batch": BATCH,
    "optimizer": "Adam, 1e-3",
    "wrong": f"{WRONG:.0%} of the labels to train and of those held out",
}
ARMS = ("dense", "wrong labels", "dropout", "cnn")


class Test(keras.callbacks.Callback):
    """Notes loss and accuracy on the test images after every epoch."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self.data = {"x": x, "y": y, "batch_size": 1000, "verbose": 0}
        self.loss: list[float] = []
        self.accuracy: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        found = self.model.evaluate(**self.data, return_dict=True)
        self.loss.append(found["loss"])
        self.accuracy.append(found["accuracy"])


def main() -> None:
    """Measures every missing row."""
    measure_missing(NAME, SETTINGS, ARMS, train, EPOCHS)


def build(arm: str) -> keras.Model:
    """A network that is too large for the data."""
    layers = keras.layers
    x = inputs = keras.Input((784,))
    if arm == "cnn":
        x = layers.Reshape((28, 28, 1))(x)
        for filters in (16, 32):
            x = layers.Conv2D(
                filters, 3, strides=2, padding="same", activation="relu"
            )(x)
        x = layers.Flatten()(x)
        x = layers.Dense(128, activation="relu")(x)
    else:
        for _ in range(2):
            x = layers.Dense(256, activation="relu")(x)
            if arm == "dropout":
                x = layers.Dropout(0.5)(x)
    model = keras.Model(inputs, layers.Dense(10)(x))
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def train(arm: str, seed: int, epochs: int) -> dict[str, Any]:
    """Trains once; returns the curves, one value per epoch."""
    (x, y), (x_held, y_held), test = load(IMAGES, seed)
    if arm == "wrong labels":
        rng = np.random.default_rng(1000 + seed)
        y, y_held = mislabel(y, WRONG, rng), mislabel(y_held, WRONG, rng)
    keras.utils.set_random_seed(seed)
    model, tested = build(arm), Test(*test)
    cpu = time.process_time()
    history = model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=epochs,
        validation_data=(x_held, y_held),
        validation_batch_size=1000,
        verbose=0,
        callbacks=[tested],
    ).history
    curves = {
        "loss": history["loss"],
        "val_loss": history["val_loss"],
        "test_loss": tested.loss,
        "test_accuracy": tested.accuracy,
    }
    return {
        **{k: [round(float(v), 5) for v in c] for k, c in curves.items()},
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }


if __name__ == "__main__":
    main()
