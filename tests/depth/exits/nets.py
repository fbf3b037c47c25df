"""Small models, and data with easy and hard samples."""

import keras
import numpy as np
from keras import layers

CLASSES = 3
BACKEND = keras.backend.backend()
EAGER = BACKEND == "tensorflow"  # Tracing takes longer.


def make_data(samples, seed=0):
    """Images whose class has a signal of random strength."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, samples).astype("int32")
    x = rng.standard_normal((samples, 8, 8, 1)).astype("float32")
    strength = rng.uniform(0.0, 1.5, samples).astype("float32")
    rows = np.arange(8)[None]
    x[np.arange(samples)[:, None], rows, y[:, None]] += strength[:, None, None]
    return x, y


def residual_net():
    """Skip connections that cross both exits."""
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(4, 3, 2, padding="same", name="stem")(inputs)
    x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    long = first = layers.ReLU(name="first")(x)
    x = layers.Conv2D(4, 3, padding="same", name="inner")(first)
    x = layers.Dropout(0.2, name="drop")(x)
    x = second = layers.Add(name="second")([x, first])
    x = layers.Conv2D(4, 3, padding="same", name="last")(x)
    x = layers.Add(name="sum")([x, second, long])
    x = layers.Flatten(name="flat")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="out")(x))


def sequential_net():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(),
            layers.Dense(8, activation="relu", name="first"),
            layers.Dense(CLASSES, name="out"),
        ]
    )


def nested_net():
    inside = keras.Input((64,))
    x = layers.Dense(8, activation="relu", name="inner")(inside)
    x = layers.Dense(8, activation="relu", name="outer")(x)
    block = keras.Model(inside, x, name="block")
    inputs = keras.Input((8, 8, 1))
    x = block(layers.Flatten()(inputs))
    x = layers.Dense(8, name="after")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="out")(x))


def flat_head():
    """A head without pooling."""
    return keras.Sequential([layers.Flatten(), layers.Dense(CLASSES)])


def compiled(model, **arguments):
    jit = "auto" if BACKEND == "jax" else False
    model.compile(
        keras.optimizers.Adam(0.02),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **{"metrics": ["accuracy"], "jit_compile": jit, **arguments},
    )
    return model
