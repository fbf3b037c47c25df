"""The data and the model that most tests train."""

import keras
import numpy as np


def make_toy_data():
    """64 samples of 8 features in 3 separable classes."""
    rng = np.random.default_rng(0)
    y = np.arange(64) % 3
    x = rng.standard_normal((64, 8)).astype("float32")
    x[np.arange(64), y] += 2.0
    return x, y.astype("int32")


def build_mlp(optimizer="adam", dropout=0.2, **compile_arguments):
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16, activation="relu", name="hidden"),
            keras.layers.BatchNormalization(momentum=0.9, name="norm"),
            keras.layers.Dropout(dropout, name="dropout"),
            keras.layers.Dense(3, name="out"),
        ]
    )
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **compile_arguments,
    )
    return model
