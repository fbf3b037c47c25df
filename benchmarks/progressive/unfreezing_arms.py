"""Data, network and arms of the benchmark of fine-tuning."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

import keras_netopt as netopt

CLASSES, BATCH, STEPS = 10, 25, 300
PRETRAINED, TESTED = 20_000, 4_000
RATES = (1e-3, 3e-3)
Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Task:
    """One task for fine-tuning.

    Args:
        title: For the tables.
        change: "noise" or "inverted".
        labels: Training images per class.
    """

    title: str
    change: str
    labels: int


TASKS = {
    "noise-25": Task("noise of deviation 0.3, 25 labels a class", "noise", 25),
    "inverted-25": Task("inverted, 25 labels a class", "inverted", 25),
}
ARMS = {
    "full": "all layers, plain `fit`",
    "scratch": "all layers, untrained (control)",
    "head": "the head alone",
    "unfreeze": "`GradualUnfreezing()`",
    "chain_thaw": '`GradualUnfreezing(scheme="chain_thaw")`',
    "freeze": '`GradualUnfreezing(scheme="freeze")`',
    "decay": "`LayerwiseLearningRates(decay=1 / 2.6)`",
    "both": "`GradualUnfreezing()` and `LayerwiseLearningRates`",
}


class Bench:
    """Fashion-MNIST of 14 x 14 pixels, and one trained network per seed."""

    def __init__(self) -> None:
        train, test = keras.datasets.fashion_mnist.load_data()
        self._train, self._test = _pooled(*train), _pooled(*test)
        self._trained: tuple[int, list[np.ndarray]] | None = None

    def data(self, task: Task, seed: int) -> tuple[Arrays, Arrays]:
        """Returns few training images and all test images of a task."""
        rng = np.random.default_rng(seed)
        x, y = (part[PRETRAINED:] for part in self._train)
        chosen = np.concatenate(
            [
                rng.choice(np.flatnonzero(y == one), task.labels, replace=False)
                for one in range(CLASSES)
            ]
        )
        chosen = rng.permutation(chosen)
        test, labels = (part[:TESTED] for part in self._test)
        return (
            (_change(x[chosen], task.change, rng), y[chosen]),
            (_change(test, task.change, rng), labels),
        )

    def network(self, seed: int, *, trained: bool = True) -> keras.Model:
        """Returns the network, trained on clean images, with a new head."""
        keras.utils.set_random_seed(seed)
        model = build()
        if not trained:
            return model
        if self._trained is None or self._trained[0] != seed:
            donor = build()
            compile_model(donor, 2e-3)
            x, y = (part[:PRETRAINED] for part in self._train)
            donor.fit(x, y, batch_size=64, epochs=4, verbose=0)
            self._trained = seed, donor.get_weights()
        head = model.get_layer("head").get_weights()
        model.set_weights(self._trained[1])
        model.get_layer("head").set_weights(head)
        return model


def build() -> keras.Model:
    """Three convolutions with normalization, pooling and a head."""
    x = inputs = keras.Input((14, 14, 1))
    for i, width in enumerate((16, 32, 64)):
        x = layers.Conv2D(
            width, 3, strides=min(i + 1, 2), padding="same", use_bias=False
        )(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="head")(x))


def compile_model(model: keras.Model, rate: float) -> None:
    """Compiles with Adam and a constant rate."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])


def callbacks_of(arm: str) -> list[Any]:
    """Returns the callbacks of an arm."""
    scheme = "unfreeze" if arm == "both" else arm
    found: list[Any] = []
    if scheme in ("unfreeze", "chain_thaw", "freeze"):
        found.append(netopt.callbacks.GradualUnfreezing(scheme=scheme))
    if arm in ("decay", "both"):
        found.append(netopt.callbacks.LayerwiseLearningRates(decay=1 / 2.6))
    return found


def prepare(model: keras.Model, arm: str) -> None:
    """Freezes all but the head for the arm that trains it alone."""
    for layer in model.layers:
        layer.trainable = arm != "head" or layer.name == "head"


def _pooled(x: np.ndarray, y: np.ndarray) -> Arrays:
    x = x.astype("float32").reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)) / 255
    return x[..., None], y.astype("int32")


def _change(x: np.ndarray, change: str, rng: Any) -> np.ndarray:
    if change == "inverted":
        return 1.0 - x
    return (x + rng.normal(0, 0.3, x.shape)).astype("float32")
