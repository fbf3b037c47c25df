"""Networks of a given number of weights, in three shapes.

"wide" is a perceptron in which each kernel is about a third of the network,
"deep" one of 12 equal layers, "conv" has 20 convolutions with batch
normalization. Widths are scaled with the square root of the size.
"""

import keras
from keras import layers

KINDS = ("wide", "deep", "conv")


def build(kind: str, millions: float) -> keras.Model:
    """Builds a network.

    Args:
        kind: One of `KINDS`.
        millions: Number of weights in millions, about.
    """
    keras.utils.set_random_seed(0)
    scale = (millions / 50) ** 0.5
    if kind == "conv":
        return _convolutions(round(528 * scale))
    depth, width = {"wide": (4, 3950), "deep": (12, 2096)}[kind]
    width = round(width * scale)
    hidden = [
        layers.Dense(width, activation="relu", name=f"hidden_{k}")
        for k in range(depth)
    ]
    return keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10)])


def input_shape(kind: str) -> tuple[int, ...]:
    """Returns the shape of a sample."""
    return (8, 8, 3) if kind == "conv" else (784,)


def _convolutions(width: int) -> keras.Model:
    stack: list[keras.Layer] = []
    for k in range(20):
        stack += [
            layers.Conv2D(
                width,
                3,
                strides=2 if k in (1, 2) else 1,
                padding="same",
                name=f"hidden_{k}",
            ),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(10)]
    return keras.Sequential([keras.Input((8, 8, 3)), *stack, *head])
