"""A small classifier, its data, and a call of `compress`."""

import keras
import numpy as np

import keras_netopt as netopt

CLASSES = 4
EPOCHS = 4


def make_data(samples=256):
    rng = np.random.default_rng(0)
    y = (np.arange(samples) % CLASSES).astype("int32")
    x = rng.standard_normal((samples, 12)).astype("float32")
    x[np.arange(samples), y] += 3.0
    return x, y


def build(width=64):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(width, activation="relu", name="one"),
            keras.layers.Dense(width, activation="relu", name="two"),
            keras.layers.Dense(CLASSES, name="out"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def trained():
    model = build()
    x, y = make_data()
    model.fit(x, y, epochs=2, batch_size=64, verbose=0)
    return model


def compress(model, path, **changed):
    x, y = make_data()
    return netopt.compress(
        model,
        x,
        y,
        **{
            "validation_data": make_data(128),
            "target": netopt.Target(kilobytes=4, io="int8"),
            "path": path,
            "epochs": EPOCHS,
            "batch_size": 64,
            "verbose": 0,
            "distillation": False,
            "max_drop": 0.05,
            **changed,
        },
    )
