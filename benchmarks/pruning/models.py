"""The two networks and the data, for Keras 3 and for tf_keras alike."""

from typing import Any

import numpy as np

BATCH = 128
CLASSES = 10
WIDTHS = {"mlp": (300, 100), "cnn": (16, 32, 64)}

Data = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def build(kind: str, keras: Any, widths: tuple[int, ...] | None = None) -> Any:
    """Returns a compiled network.

    Args:
        kind: "mlp" (784-300-100-10) or "cnn" (two 3x3 convolutions of stride
            2 and two dense layers).
        keras: The module to build with, `keras` or `tf_keras`.
        widths: Units of the hidden layers. Defaults to `None`: `WIDTHS[kind]`.
    """
    layers = keras.layers
    units = widths or WIDTHS[kind]
    if kind == "mlp":
        stack = [keras.Input((784,))]
        stack += [layers.Dense(n, activation="relu") for n in units]
    else:
        stack = [keras.Input((28, 28, 1))]
        stack += [
            layers.Conv2D(n, 3, strides=2, padding="same", activation="relu")
            for n in units[:2]
        ]
        stack += [layers.Flatten(), layers.Dense(units[2], activation="relu")]
    model = keras.Sequential([*stack, layers.Dense(CLASSES)])
    compile_model(model, keras)
    return model


def compile_model(model: Any, keras: Any) -> None:
    """Compiles with Adam at 1e-3 and cross-entropy on the logits."""
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def count_kernels(kind: str, widths: tuple[int, ...]) -> int:
    """Returns the number of kernel weights of a network."""
    if kind == "mlp":
        sizes = (784, *widths, CLASSES)
        return sum(a * b for a, b in zip(sizes, sizes[1:], strict=False))
    first, second, dense = widths
    convolutions = 9 * first + 9 * first * second
    return convolutions + 49 * second * dense + dense * CLASSES


def small_widths(kind: str, sparsity: float) -> tuple[int, ...]:
    """Returns the widths of a dense net with the weights that pruning keeps.

    All hidden layers shrink by one common factor, but the last one never
    below the number of classes: a bottleneck there would make the control
    weaker than it is. The roundings nearest to the number of weights win.
    """
    goal = (1 - sparsity) * count_kernels(kind, WIDTHS[kind])
    *first, last = WIDTHS[kind]
    choices = {
        (
            *(max(1, round(n * i / 2000)) for n in first),
            max(CLASSES, round(last * i / 2000)),
        )
        for i in range(1, 2000)
    }
    return min(
        sorted(choices), key=lambda w: abs(count_kernels(kind, w) - goal)
    )


def load_data(kind: str) -> Data:
    """Returns all of Fashion-MNIST in the shape of the network's input."""
    import keras

    train, test = keras.datasets.fashion_mnist.load_data()
    shape = (-1, 784) if kind == "mlp" else (-1, 28, 28, 1)
    return tuple(
        (x.reshape(shape).astype("float32") / 255, y.astype("int32"))
        for x, y in (train, test)
    )
