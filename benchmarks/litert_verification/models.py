"""Small models of many kinds, trained for a few seconds, with held-out data."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

TRAINED = 8_000
VOCABULARY, LENGTH = 2_000, 32
Arrays = tuple[np.ndarray, np.ndarray]
Made = tuple[keras.Model, np.ndarray, np.ndarray]


def images() -> tuple[Arrays, Arrays, Arrays]:
    """Returns Fashion-MNIST: trained on, sorted for calibration, held out."""
    (x, y), test = keras.datasets.fashion_mnist.load_data()
    x, x_test = (a[..., None].astype("float32") / 255 for a in (x, test[0]))
    rest = np.arange(TRAINED, 2 * TRAINED)
    rest = rest[np.argsort(y[rest], kind="stable")]
    return (x[:TRAINED], y[:TRAINED]), (x[rest], y[rest]), (x_test, test[1])


def tokens() -> tuple[Arrays, Arrays, Arrays]:
    """Returns texts of 6 topics, of which each prefers some words."""
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(VOCABULARY, 0.05), 6)
    common = rng.dirichlet(np.full(VOCABULARY, 0.5))
    parts = []
    for count in (TRAINED, TRAINED, 10_000):
        y = rng.integers(6, size=count)
        x = np.empty((count, LENGTH), "int32")
        for k in range(6):
            rows = np.flatnonzero(y == k)
            odds = 0.2 * topics[k] + 0.8 * common
            x[rows] = rng.choice(VOCABULARY, (len(rows), LENGTH), p=odds)
        parts.append((x, y))
    order = np.argsort(parts[1][1], kind="stable")
    parts[1] = parts[1][0][order], parts[1][1][order]
    return parts[0], parts[1], parts[2]


def _sequential(*stack: Any) -> keras.Model:
    return keras.Sequential([keras.Input((28, 28, 1)), *stack])


def mlp() -> keras.Model:
    """784-128-64-10."""
    dense = [layers.Dense(n, activation="relu") for n in (128, 64)]
    return _sequential(layers.Flatten(), *dense, layers.Dense(10))


def cnn() -> keras.Model:
    """Two convolutions with batch normalization, softmax."""
    stack: list[Any] = []
    for n in (16, 32):
        stack += [
            layers.Conv2D(n, 3, strides=2, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ]
    head = layers.Dense(10, activation="softmax")
    return _sequential(*stack, layers.Flatten(), head)


def depthwise() -> keras.Model:
    """A MobileNet-like network."""
    x = inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(16, 3, strides=2, use_bias=False)(x)
    for n in (32, 48, 64):
        for conv in (
            layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            layers.Conv2D(n, 1, use_bias=False),
        ):
            x = layers.BatchNormalization(momentum=0.9)(conv(x))
            x = layers.ReLU(6.0)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def residual() -> keras.Model:
    """Two residual blocks."""
    x = inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(24, 3, strides=2, activation="relu")(x)
    for _ in range(2):
        y = layers.Conv2D(24, 3, padding="same", activation="silu")(x)
        y = layers.Conv2D(24, 3, padding="same")(y)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def lstm() -> keras.Model:
    """An LSTM over the rows of an image."""
    rows = layers.Reshape((28, 28))
    return _sequential(rows, layers.LSTM(32), layers.Dense(10))


def gru() -> keras.Model:
    """An unrolled GRU over the rows of an image, which has a free batch."""
    rows = layers.Reshape((28, 28))
    return _sequential(rows, layers.GRU(32, unroll=True), layers.Dense(10))


def untrained() -> keras.Model:
    """A network that is not trained: its logits are close to each other."""
    return mlp()


def words() -> keras.Model:
    """An embedding and convolutions over a text."""
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(VOCABULARY, 24),
            layers.Conv1D(48, 3, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(6),
        ]
    )


def bag() -> keras.Model:
    """An embedding, of which one row is made large after the training."""
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(VOCABULARY, 24, name="table"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(32, activation="relu"),
            layers.Dense(6),
        ]
    )


def attention() -> keras.Model:
    """One block of a transformer over a text."""
    inputs = keras.Input((LENGTH,), dtype="int32")
    x = layers.Embedding(VOCABULARY, 32)(inputs)
    y = layers.MultiHeadAttention(2, 16)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    y = layers.Dense(32)(layers.Dense(64, activation="gelu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(6)(x))


IMAGES = (mlp, cnn, depthwise, residual, lstm, gru, untrained)
TEXTS = (words, bag, attention)
KINDS: dict[str, Callable[[], keras.Model]] = {
    one.__name__: one for one in (*IMAGES, *TEXTS)
}
PRUNED = "mlp, 90 % zeros"
NAMES = (*KINDS, PRUNED)


def make(name: str) -> Made:
    """Returns a model, sorted samples for the export, held-out inputs."""
    keras.utils.set_random_seed(0)
    build = KINDS["mlp" if name == PRUNED else name]
    data = images() if build in IMAGES else tokens()
    (x, y), (x_export, _), (x_test, _) = data
    model = build()
    model.compile(
        keras.optimizers.Adam(2e-3),
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=build is not cnn
        ),
    )
    if build is not untrained:
        model.fit(x, y, batch_size=64, epochs=4, verbose=0)
    if name == PRUNED:
        from keras_netopt import sparsity

        sparsity.prune(model, 0.9)
    if build is bag:
        table = model.get_layer("table").embeddings
        values = table.numpy()
        # A rare word, such as that of padding, that no sample has.
        values[VOCABULARY - 1] = 100.0
        table.assign(values)
        x_export, x_test = (
            np.where(a == VOCABULARY - 1, 0, a) for a in (x_export, x_test)
        )
    return model, x_export, x_test
