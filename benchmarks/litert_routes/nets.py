"""The networks that are exported, and their kernels on a grid."""

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_netopt.quantization import grids

SEED = 0
EPOCHS = 3
CALIBRATION = 200
HELD_OUT = 1000


def image_net() -> keras.Model:
    """Convolutions, depthwise ones and BatchNormalization, as in MobileNet."""
    x = inputs = keras.Input((28, 28, 1), name="image")
    for layer in (
        layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False),
        layers.DepthwiseConv2D(3, padding="same", use_bias=False),
        layers.Conv2D(64, 1, use_bias=False),
        layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False),
        layers.Conv2D(128, 1, use_bias=False),
    ):
        x = layers.BatchNormalization(momentum=0.9)(layer(x))
        x = layers.ReLU(6.0)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(320, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def text_net() -> keras.Model:
    """An embedding, attention, EinsumDense projections and Dense layers."""
    x = inputs = keras.Input((16,), dtype="int32", name="tokens")
    x = layers.Embedding(200, 32)(x)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 16)(x, x))
    x = layers.Dense(320, activation="relu")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def build(name: str) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Returns a trained net, its calibration samples and held-out samples."""
    import keras_netopt as netopt

    keras.utils.set_random_seed(SEED)
    if name == "image":
        model = image_net()
        (x, y), (x_test, _) = netopt.datasets.fashion_mnist_sample()
        x = x[..., None].astype("float32") / 255
        held_out = x_test[..., None].astype("float32") / 255
    else:
        model = text_net()
        rng = np.random.default_rng(SEED)
        x = rng.integers(0, 200, (10_000, 16)).astype("int32")
        # The class is the remainder of the largest token.
        y, held_out = x.max(axis=1) % 10, x[-HELD_OUT:]
        x, y = x[:-HELD_OUT], y[:-HELD_OUT]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(x, y, batch_size=64, epochs=EPOCHS, verbose=0)
    return model, x[:CALIBRATION], held_out[:HELD_OUT]


def round_kernels(model: keras.Model, bits: int) -> None:
    """Rounds every kernel and embedding table to a grid, in place."""
    for layer in model._flatten_layers():
        for variable in layer._trainable_variables:
            if variable.name not in ("kernel", "embeddings"):
                continue
            kernel: Any = variable.numpy()
            axes = grids.channel_axes(variable, layer)
            method = grids.find_method(bits)
            scale = grids.find_scale(kernel, axes, bits, method)
            variable.assign(grids.round_to_grid(kernel, scale, bits))


NETS = {"image": image_net, "text": text_net}
