"""Columns of four kinds for images of 14 x 14, and the tasks."""

from typing import Any

import keras
import numpy as np

# The last two pairs are the hard ones: shirts, and pullovers against coats.
PAIRS = ((1, 3), (8, 9), (5, 7), (0, 6), (2, 4))


def dense(inputs: Any, width: float = 1.0) -> list[Any]:
    """Two dense layers of 64 units."""
    x = keras.layers.Flatten()(inputs)
    units = round(64 * width)
    first = keras.layers.Dense(units, "relu")(x)
    return [first, keras.layers.Dense(units, "relu")(first)]


def convolutional(inputs: Any, width: float = 1.0) -> list[Any]:
    """Two convolutions of 16 and 32 filters, and a dense layer."""
    x = keras.layers.Reshape((14, 14, 1))(inputs)
    x = keras.layers.Conv2D(round(16 * width), 3, activation="relu")(x)
    first = keras.layers.MaxPooling2D()(x)
    second = keras.layers.Conv2D(round(32 * width), 3, activation="relu")(first)
    x = keras.layers.GlobalAveragePooling2D()(second)
    third = keras.layers.Dense(round(32 * width), "relu")(x)
    return [first, second, third]


def recurrent(inputs: Any, width: float = 1.0) -> list[Any]:
    """Two GRUs of 32 units over the rows."""
    units = round(32 * width)
    first = keras.layers.GRU(units, return_sequences=True)(inputs)
    return [first, keras.layers.GRU(units)(first)]


def transformer(inputs: Any, width: float = 1.0) -> list[Any]:
    """Two blocks of 32 channels and two heads over the rows."""
    channels = 2 * round(16 * width)
    x = keras.layers.Conv1D(channels, 3, padding="same")(inputs)
    hidden = []
    for _ in range(2):
        normal = keras.layers.LayerNormalization()(x)
        attention = keras.layers.MultiHeadAttention(2, channels // 2)
        x = keras.layers.Add()([x, attention(normal, normal)])
        wide = keras.layers.LayerNormalization()(x)
        wide = keras.layers.Dense(2 * channels, "gelu")(wide)
        x = keras.layers.Add()([x, keras.layers.Dense(channels)(wide)])
        hidden.append(x)
    return [*hidden, keras.layers.GlobalAveragePooling1D()(x)]


COLUMNS = {
    "dense": dense,
    "convolutional": convolutional,
    "recurrent": recurrent,
    "transformer": transformer,
}


def load_tasks(samples: int) -> list[tuple[np.ndarray, ...]]:
    """Returns x, y, test x, test y of each pair; `samples` to train on."""
    (x, y), (tx, ty) = keras.datasets.fashion_mnist.load_data()
    x, tx = _halve(x), _halve(tx)
    tasks = []
    for pair in PAIRS:
        one, other = np.isin(y, pair), np.isin(ty, pair)
        tasks.append(
            (
                x[one][:samples],
                (y[one][:samples] == pair[1]).astype("int32"),
                tx[other],
                (ty[other] == pair[1]).astype("int32"),
            )
        )
    return tasks


def _halve(images: np.ndarray) -> np.ndarray:
    halves = images.reshape(len(images), 14, 2, 14, 2).mean((2, 4))
    return (halves / 255).astype("float32")
