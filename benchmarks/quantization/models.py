"""The networks, their data and their training, Keras 3 and tf_keras alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.pruning.models import BATCH, CLASSES, Data
from benchmarks.pruning.models import load_data as load_fashion


@dataclass(frozen=True)
class Setting:
    """One starting point and what every arm may train after it.

    Args:
        title: For the tables.
        network: "mlp" or "mobile".
        samples: Number of training images.
        rate: Learning rate of Adam up to the starting point.
        dense_epochs: Epochs up to the starting point.
        pruning_epochs: Epochs of `Pruning(sparsity)` after them.
        epochs: Epochs of every arm.
        sparsity: Share of zeros of the starting point.
    """

    title: str
    network: str
    samples: int
    rate: float
    dense_epochs: int
    epochs: int
    pruning_epochs: int = 0
    sparsity: float = 0.0


SETTINGS = {
    "mlp": Setting("MLP 784-300-100-10", "mlp", 60_000, 1e-3, 5, 3),
    "mlp-90": Setting(
        "MLP, 90 % zeros",
        "mlp",
        60_000,
        1e-3,
        5,
        2,
        pruning_epochs=4,
        sparsity=0.9,
    ),
    "mobile": Setting(
        "MobileNet-like",
        "mobile",
        20_000,
        3e-3,
        5,
        4,
    ),
}


def fine_rate(setting: Setting, keras: Any) -> Any:
    """Returns the learning rate of the arms: 1e-3, down to 2 % of it."""
    steps = -(-setting.samples // BATCH) * setting.epochs
    return keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.02)


def build(network: str, keras: Any, rate: Any) -> Any:
    """Returns a compiled network.

    Args:
        network: "mlp" (784-300-100-10) or "mobile": a convolution, three
            depthwise separable ones, BatchNormalization and ReLU6 after
            each, 5,088 kernel weights.
        keras: The module to build with, `keras` or `tf_keras`.
        rate: Learning rate of Adam.
    """
    layers = keras.layers
    if network == "mlp":
        inputs = keras.Input((784,))
        x = layers.Dense(300, activation="relu")(inputs)
        x = layers.Dense(100, activation="relu")(x)
    else:
        inputs = keras.Input((28, 28, 1))
        x = _normalized(
            layers.Conv2D(16, 3, 2, padding="same", use_bias=False),
            inputs,
            keras,
        )
        for filters, stride in ((32, 1), (32, 2), (64, 1)):
            depthwise = layers.DepthwiseConv2D(
                3, stride, padding="same", use_bias=False
            )
            x = _normalized(depthwise, x, keras)
            x = _normalized(layers.Conv2D(filters, 1, use_bias=False), x, keras)
        x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(CLASSES)(x))
    compile_model(model, keras, rate)
    return model


def _normalized(layer: Any, x: Any, keras: Any) -> Any:
    x = keras.layers.BatchNormalization(momentum=0.9)(layer(x))
    return keras.layers.ReLU(6.0)(x)


def compile_model(model: Any, keras: Any, rate: Any) -> None:
    """Compiles with Adam and cross-entropy on the logits."""
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def load_data(setting: Setting) -> Data:
    """Returns Fashion-MNIST in the shape of the network's input."""
    kind = "mlp" if setting.network == "mlp" else "cnn"
    (x, y), test = load_fashion(kind)
    return (x[: setting.samples], y[: setting.samples]), test


def batches(data: tuple[np.ndarray, np.ndarray], seed: int) -> Any:
    """Returns batches of 128 in a new order every epoch.

    After `set_random_seed` TensorFlow shuffles arrays to one and the same
    order in every epoch, so arrays are not given to `fit`.
    """
    import tensorflow as tf

    x, y = (tf.constant(array) for array in data)
    order = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed)
    return order.batch(BATCH).map(lambda i: (tf.gather(x, i), tf.gather(y, i)))
