"""The networks, small and large, and the data of the growing benchmarks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

BATCH = 64
CLASSES = 10
LENGTH = 64  # Characters a sample.
WIDTH = 96  # Of the transformer's residual stream.
HEAD = 32  # Size of one head.

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Data:
    """Training samples and a test set that no arm is tuned on.

    Args:
        train: Inputs and targets.
        test: The same, held out.
    """

    train: Pair
    test: Pair


def fashion_mnist(limit: int | None = None) -> Data:
    """Loads Fashion-MNIST.

    Args:
        limit: Training images to use, from the front. Defaults to all.
    """
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    x, x_test = (a[..., None].astype("float32") / 255 for a in (x, x_test))
    return Data((x[:limit], y[:limit]), (x_test, y_test))


def python_docs(samples: int, length: int = LENGTH) -> Data:
    """Cuts the help texts that ship with Python into runs of characters.

    Args:
        samples: Training samples, drawn at random places of the first nine
            tenths of the text.
        length: Characters a sample. Defaults to 64.
    """
    import pydoc_data.topics

    topics = pydoc_data.topics.topics
    text = "\n".join(topics[name] for name in sorted(topics))
    letters = sorted(set(text))
    codes = np.searchsorted(letters, list(text)).astype("int32")
    cut = int(0.9 * len(codes))
    rng = np.random.default_rng(0)
    begin = rng.integers(0, cut - length - 1, samples)
    held = np.arange(cut, len(codes) - length - 1, length)[:512]
    return Data(_windows(codes, begin, length), _windows(codes, held, length))


def _windows(codes: np.ndarray, begin: np.ndarray, length: int) -> Pair:
    places = begin[:, None] + np.arange(length + 1)
    return codes[places][:, :-1], codes[places][:, 1:]


def letters() -> int:
    """Returns the number of different characters."""
    import pydoc_data.topics

    return len(set("\n".join(pydoc_data.topics.topics.values())))


def shuffled(pair: Pair, seed: int, size: int = BATCH) -> Any:
    """Batches in a new order every epoch, the same ones for a seed.

    Arrays are not given to `fit`: after `set_random_seed` TensorFlow shuffles
    them to one and the same order in every epoch.
    """
    import tensorflow as tf

    x, y = (tf.constant(array) for array in pair)
    order = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed)
    batches = order.batch(size, drop_remainder=True)
    return batches.map(lambda i: (tf.gather(x, i), tf.gather(y, i)))


def cnn(widths: tuple[int, ...], optimizer: Any, *, norm: bool = True) -> Any:
    """Builds a compiled convolutional network.

    Args:
        widths: Channels of the four convolutions.
        optimizer: The optimizer.
        norm: Whether batch normalization follows each convolution.
            Defaults to `True`.
    """
    x = inputs = keras.Input((28, 28, 1))
    for i, width in enumerate(widths):
        x = layers.Conv2D(
            width,
            3,
            strides=1 + (i in (0, 2)),
            padding="same",
            use_bias=not norm,
            name=f"conv{i}",
        )(x)
        if norm:
            x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return _compiled(inputs, layers.Dense(CLASSES, name="out")(x), optimizer)


def transformer(
    depth: int, heads: int, hidden: int, optimizer: Any, length: int = LENGTH
) -> Any:
    """Builds a compiled character model with causal attention.

    Args:
        depth: Number of blocks.
        heads: Heads of each attention.
        hidden: Units of each feed-forward layer.
        optimizer: The optimizer.
        length: Longest sequence; shorter ones may come. Defaults to 64.
    """
    inputs = keras.Input((length,), dtype="int32")
    x = layers.Embedding(letters(), WIDTH, name="letters")(inputs)
    x = AddPosition(name="places")(x)
    for i in range(depth):
        x = block(x, heads, hidden, f"block{i}")
    x = layers.LayerNormalization(name="norm")(x)
    return _compiled(inputs, layers.Dense(letters(), name="out")(x), optimizer)


@keras.saving.register_keras_serializable("benchmarks")
class AddPosition(layers.Layer):
    """Adds a trained vector to every position of a sequence.

    Call arguments:
        inputs: Of shape `(batch, steps, width)`; shorter sequences than
            built for use the first vectors.
    """

    def build(self, input_shape: Any) -> None:
        """Creates the vectors."""
        self.places = self.add_weight(
            shape=input_shape[1:],
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="places",
        )

    def call(self, inputs: Any) -> Any:
        """Adds them."""
        return inputs + self.places[: keras.ops.shape(inputs)[1]]


def block(
    x: Any, heads: int, hidden: int, name: str, *, zero_init: bool = False
) -> Any:
    """Adds attention and a feed-forward layer to a residual stream.

    Args:
        x: The stream.
        heads: Number of heads.
        hidden: Units of the feed-forward layer.
        name: Prefix of the layers' names.
        zero_init: Whether the block starts as the identity.
    """
    last = "zeros" if zero_init else "glorot_uniform"
    h = layers.LayerNormalization(name=f"{name}_norm1")(x)
    attention = layers.MultiHeadAttention(heads, HEAD, name=f"{name}_mha")
    h = attention(h, h, use_causal_mask=True)
    if zero_init:
        kernel = attention._output_dense.kernel
        kernel.assign(np.zeros(kernel.shape, "float32"))
    x = layers.Add(name=f"{name}_add1")([x, h])
    h = layers.LayerNormalization(name=f"{name}_norm2")(x)
    h = layers.Dense(hidden, activation="gelu", name=f"{name}_up")(h)
    h = layers.Dense(WIDTH, kernel_initializer=last, name=f"{name}_down")(h)
    return layers.Add(name=f"{name}_add2")([x, h])


def _compiled(inputs: Any, outputs: Any, optimizer: Any) -> Any:
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


Build = Callable[[], Any]
