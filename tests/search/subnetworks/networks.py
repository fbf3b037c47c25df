"""Networks whose sub-networks are searched."""

import keras
import numpy as np
from keras import layers

from keras_netopt import search


def compiled(model, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, **options)
    return model


def small():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(20, activation="relu", name="first"),
            layers.Dense(3, name="out"),
        ]
    )
    return compiled(model)


def mlp(**options):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(20, activation="relu", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.3),
            layers.Dense(10, activation="relu", name="second"),
            layers.Dense(3, name="out"),
        ]
    )
    return compiled(model, **options)


def residual():
    """Two convolutions whose channels an addition couples."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6, 6, 1))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    y = layers.BatchNormalization(name="norm")(x)
    y = layers.Conv2D(8, 3, padding="same", name="branch")(y)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(12, activation="tanh", name="hidden")(x)
    return compiled(keras.Model(inputs, layers.Dense(3, name="out")(x)))


def data(model, samples=24):
    rng = np.random.default_rng(0)
    shape = (samples, *model.input_shape[1:])
    return rng.normal(size=shape).astype("float32"), np.arange(samples) % 3


def weedout(model, share=0.8, **arguments):
    given = {"candidates": 4, "verbose": 0, **arguments}
    if "data" not in given:
        given["data"] = data(model)
    return search.weedout(model, share, **given)


def evaluate(model, x, y):
    """The loss, without a compiled `evaluate`."""
    logits = keras.ops.stop_gradient(model(x, training=False))
    return float(keras.ops.convert_to_numpy(model.loss(y, logits)))
