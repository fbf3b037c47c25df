"""The networks, untrained: time and bytes do not depend on training."""

import keras
from keras import layers


def mlp() -> keras.Model:
    """Dense layers of 784, 300, 100 and 10 units."""
    sizes = (300, 100)
    dense = [layers.Dense(size, activation="relu") for size in sizes]
    return keras.Sequential([keras.Input((784,)), *dense, layers.Dense(10)])


def cnn() -> keras.Model:
    """3x3 convolutions on images of 28x28, then dense layers."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu", padding="same"),
            layers.Conv2D(64, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )


def depthwise() -> keras.Model:
    """Depthwise and 1x1 convolutions on images of 97x97, as in MobileNet."""
    x = inputs = keras.Input((97, 97, 3))
    x = _normalized(layers.Conv2D(32, 3, strides=2, use_bias=False)(x))
    for filters, strides in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        x = layers.DepthwiseConv2D(
            3, strides=strides, padding="same", use_bias=False
        )(x)
        x = _normalized(x)
        x = _normalized(layers.Conv2D(filters, 1, use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def normalized_before(activated: bool = False) -> keras.Model:
    """Four 3x3 convolutions with normalization before the activation."""
    x = inputs = keras.Input((32, 32, 3))
    for filters in (32, 32, 64, 64):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        parts = [layers.BatchNormalization(), layers.ReLU()]
        for part in reversed(parts) if activated else parts:
            x = part(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(10)(x))
    # As trained: mean and variance are not 0 and 1.
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(layer.moving_mean + 0.1)
            layer.moving_variance.assign(layer.moving_variance * 0.7)
    return model


def _normalized(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.ReLU(6.0)(layers.BatchNormalization()(x))


NETS = {
    "dense 784-300-100-10": mlp,
    "3x3 convolutions": cnn,
    "depthwise and 1x1": depthwise,
}
