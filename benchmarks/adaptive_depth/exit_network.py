"""The residual network of the early exit benchmark, data and training."""

import math
from typing import Any

import numpy as np

BATCH = 128
CLASSES = 10
RATE = 2e-3
HOLD = 0.5  # Share of the training before the learning rate decreases.
EPOCHS = 6
HELD_OUT = 5000  # Training images reserved for calibration.
WIDTHS = (16, 48, 96)
LAYERS = ("one", "two")
HEAD = 48  # Channels of the first head's convolution.
# Accuracy drop on held-out images by arm. With the goal itself as the budget
# the drop on other images is larger.
DROPS = {"exits": 0.0005, "loose": 0.002}

Pair = tuple[np.ndarray, np.ndarray]


def backbone() -> Any:
    """Returns a residual network for 28x28 images."""
    import keras
    from keras import layers

    inputs = keras.Input((28, 28, 1), name="image")
    x = _conv(inputs, WIDTHS[0], 3, "stem", strides=2)
    x = _block(x, WIDTHS[0], "one")
    x = _block(x, WIDTHS[1], "two_down", strides=2)
    x = _block(x, WIDTHS[1], "two")
    x = _block(x, WIDTHS[2], "three_up")
    x = _block(x, WIDTHS[2], "three")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="out")(x))


def heads() -> list[Any]:
    """Returns a head with a convolution, and one without."""
    import keras
    from keras import layers

    def head(name: str, *before: Any) -> Any:
        pool = layers.GlobalAveragePooling2D()
        return keras.Sequential(
            [*before, pool, layers.Dense(CLASSES)], name=name
        )

    return [
        head(
            "head_one",
            layers.Conv2D(HEAD, 3, 2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ),
        head("head_two"),
    ]


def compiled(model: Any) -> Any:
    """Compiles a model with or without exits."""
    import keras

    model.compile(
        keras.optimizers.Adam(RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def load_data(limit: int | None = None) -> tuple[Pair, Pair, Pair]:
    """Returns Fashion-MNIST as training, held out and test images.

    Args:
        limit: Number of training images, for trials; a tenth as many
            held-out and test images, at least 200. Defaults to `None`: all.
    """
    import keras

    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    few = None if limit is None else max(200, limit // 10)
    train = _ready(x[:-HELD_OUT][:limit], y[:-HELD_OUT][:limit])
    held_out = _ready(x[-HELD_OUT:][:few], y[-HELD_OUT:][:few])
    return train, held_out, _ready(x_test[:few], y_test[:few])


def fit(model: Any, data: Pair, seed: int, epochs: int) -> None:
    """Trains at `RATE`, with a cosine decay to 0.02 `RATE` in the second half.

    Batches are reshuffled every epoch.
    """
    import keras
    import tensorflow as tf

    steps = epochs * math.ceil(len(data[0]) / BATCH)

    class CosineDecay(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.step = 0

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            done = max(0.0, (self.step / steps - HOLD) / (1 - HOLD))
            share = 0.02 + 0.49 * (1 + math.cos(math.pi * done))
            self.model.optimizer.learning_rate = RATE * share
            self.step += 1

    x, y = (tf.constant(array) for array in data)
    order = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed)
    batches = order.batch(BATCH).map(
        lambda i: (tf.gather(x, i), tf.gather(y, i))
    )
    model.fit(
        batches,
        shuffle=False,
        epochs=epochs,
        callbacks=[CosineDecay()],
        verbose=0,
    )


def _ready(x: np.ndarray, y: np.ndarray) -> Pair:
    return x[..., None].astype("float32") / 255, y.astype("int32")


def _conv(
    x: Any,
    width: int,
    size: int,
    name: str,
    *,
    relu: bool = True,
    **options: Any,
) -> Any:
    from keras import layers

    x = layers.Conv2D(
        width, size, padding="same", use_bias=False, name=name, **options
    )(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _block(x: Any, width: int, name: str, strides: int = 1) -> Any:
    from keras import layers

    y = _conv(x, width, 3, f"{name}_in", strides=strides)
    y = _conv(y, width, 3, f"{name}_out", relu=False)
    if strides > 1 or x.shape[-1] != width:
        x = _conv(x, width, 1, f"{name}_skip", relu=False, strides=strides)
    x = layers.Add(name=f"{name}_sum")([x, y])
    return layers.ReLU(name=name)(x)
