"""The residual network, the data and the training that all arms share."""

import math
from typing import Any

import numpy as np

BATCH = 128
CLASSES = 10
RATE = 1e-3
HOLD = 0.6  # Of a fit, before the learning rate falls.
WIDTHS = {"stem": 16, "one": 64, "one_in": 64, "two": 128, "two_in": 128}

Data = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def build(widths: dict[str, int] | None = None) -> Any:
    """Returns a compiled residual network for 28x28 images.

    Args:
        widths: Channels of the stem, of both residual streams ("one", "two")
            and of the layer inside each block. Defaults to `WIDTHS`.
    """
    import keras

    sizes = {**WIDTHS, **(widths or {})}
    inputs = keras.Input((28, 28, 1))
    x = _conv(inputs, sizes["stem"], 3, "stem", strides=2)
    x = _block(x, sizes, "one", "one_in", strides=2)
    x = _block(x, sizes, "two", "two_in", strides=2)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, name="out")(x))
    model.compile(
        keras.optimizers.Adam(RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def _conv(
    x: Any, width: int, size: int, name: str, *, relu: bool = True, **options
) -> Any:
    from keras import layers

    x = layers.Conv2D(
        width, size, padding="same", use_bias=False, name=name, **options
    )(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU()(x) if relu else x


def _block(
    x: Any, sizes: dict[str, int], stream: str, inner: str, strides: int = 1
) -> Any:
    from keras import layers

    y = _conv(x, sizes[inner], 3, inner, strides=strides)
    y = _conv(y, sizes[stream], 3, f"{inner}_out", relu=False)
    if strides > 1:
        x = _conv(
            x, sizes[stream], 1, f"{stream}_skip", relu=False, strides=strides
        )
    return layers.ReLU()(layers.Add()([x, y]))


def widths_of(model: Any) -> dict[str, int]:
    """Returns the widths from which `build` makes the same shape."""
    found = {
        name: model.get_layer(name).filters
        for name in WIDTHS
        if name not in ("one", "two")
    }
    for stream in ("one", "two"):
        found[stream] = model.get_layer(f"{stream}_skip").filters
    return found


def load_data(limit: int | None = None) -> Data:
    """Returns Fashion-MNIST; `limit` is for trying things out."""
    import keras

    train, test = keras.datasets.fashion_mnist.load_data()
    return tuple(
        (
            x[:limit, ..., None].astype("float32") / 255,
            y[:limit].astype("int32"),
        )
        for x, y in (train, test)
    )


def shuffled(data: tuple[np.ndarray, np.ndarray], seed: int) -> Any:
    """Batches in a new order every epoch.

    Arrays are not given to `fit`: after `set_random_seed` TensorFlow shuffles
    them to one and the same order in every epoch.
    """
    import tensorflow as tf

    x, y = (tf.constant(array) for array in data)
    order = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed)
    batches = order.batch(BATCH)
    return batches.map(lambda i: (tf.gather(x, i), tf.gather(y, i)))


def fit(
    model: Any,
    data: Data,
    epochs: int,
    seed: int,
    callbacks: list[Any] | None = None,
) -> list[float]:
    """Trains at `RATE`, at the end with a cosine to a tenth of it.

    Returns:
        The test accuracy after every epoch.
    """
    import keras

    def rate(epoch: int) -> float:
        done = max(0.0, (epoch / max(1, epochs - 1) - HOLD) / (1 - HOLD))
        return RATE * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))

    history = model.fit(
        shuffled(data[0], seed),
        shuffle=False,
        epochs=epochs,
        validation_data=data[1],
        callbacks=[
            keras.callbacks.LearningRateScheduler(rate),
            *(callbacks or []),
        ],
        verbose=0,
    )
    return [round(a, 4) for a in history.history["val_accuracy"]]
