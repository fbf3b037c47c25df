"""Layers that several image networks are made of."""

from typing import Any

from keras import layers

# Moving statistics follow within the short trainings of a search.
MOMENTUM = 0.9


def conv_norm(
    x: Any, channels: int, kernel: int, name: str, *, strides: int = 1
) -> Any:
    """A convolution without bias and batch normalization."""
    x = layers.Conv2D(
        channels,
        kernel,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(x)


def norm_relu(x: Any, name: str) -> Any:
    """Batch normalization and ReLU."""
    x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
