"""A deep residual network on Fashion-MNIST, with droppable blocks."""

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_netopt import depth
from keras_netopt.layers import LayerDrop, StochasticDepth

BLOCKS, UNITS, CLASSES = 20, 128, 10
IMAGES, BATCH = 20_000, 128
RATE = 1e-3

Pair = tuple[np.ndarray, np.ndarray]


def load() -> tuple[Pair, Pair]:
    """Returns training and test images as rows in [0, 1], with labels."""
    train, test = keras.datasets.fashion_mnist.load_data()
    (x, y), (x_test, y_test) = (
        (x.reshape(len(x), -1).astype("float32") / 255, y.astype("int32"))
        for x, y in (train, test)
    )
    return (x[:IMAGES], y[:IMAGES]), (x_test, y_test)


def block() -> keras.Layer:
    """Returns a residual branch."""
    return keras.Sequential(
        [
            layers.LayerNormalization(),
            layers.Dense(UNITS, activation="relu"),
            layers.Dense(UNITS),
        ]
    )


def plain() -> keras.Model:
    """Returns the network with ordinary residual connections."""
    inputs = keras.Input((784,))
    x = layers.Dense(UNITS)(inputs)
    for _ in range(BLOCKS):
        x = layers.Add()([x, block()(x)])
    return compiled(inputs, x)


def stochastic(last: float, mode: str, seed: int = 0) -> keras.Model:
    """Returns the network with stochastic depth.

    Args:
        last: Drop rate of the last block; rates grow linearly with depth.
        mode: "batch" or "sample".
        seed: Random seed.
    """
    inputs = keras.Input((784,))
    x = layers.Dense(UNITS)(inputs)
    for i, rate in enumerate(depth.linear_rates(BLOCKS, last)):
        dropped = StochasticDepth(
            block(), rate, mode=mode, seed=1000 * seed + i
        )
        x = dropped(x)
    return compiled(inputs, x)


def layer_drop(rate: float, seed: int = 0) -> keras.Model:
    """Returns the network with one drop rate for all blocks.

    Args:
        rate: Drop rate of every block.
        seed: Random seed.
    """
    inputs = keras.Input((784,))
    x = layers.Dense(UNITS)(inputs)
    blocks = [block() for _ in range(BLOCKS)]
    x = LayerDrop(blocks, rate, residual=True, seed=seed)(x)
    return compiled(inputs, x)


def compiled(inputs: Any, x: Any) -> keras.Model:
    """Adds the head and compiles."""
    x = layers.LayerNormalization()(x)
    model = keras.Model(inputs, layers.Dense(CLASSES)(x))
    model.compile(
        keras.optimizers.Adam(RATE, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() == "jax",
    )
    return model
