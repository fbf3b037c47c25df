"""The default gate of `SkipGate`."""

from typing import Any

import keras
from keras import layers


def default_gate(rank: int, width: int = 10) -> keras.Layer:
    """Makes an unbuilt gate with one logit per sample, open initially.

    The gate of SkipNet: images (rank 4, batch axis included) pass pooling and
    two convolutions, sequences (rank 3) a mean over time; a small dense
    network follows. `width` is its number of hidden units or filters.
    """
    if rank not in (2, 3, 4):
        raise ValueError(
            'Argument `gate` must be a layer: "auto" supports vectors, '
            "sequences and images, rank 2, 3 and 4. "
            f"Received: gate='auto' with inputs of rank {rank}"
        )
    # Explicit names: TensorFlow's graph optimizer sorts by name, and numbered
    # names differ between the process that saves and the one that loads.
    head = layers.Dense(
        1, bias_initializer="ones", dtype="float32", name="logit"
    )
    hidden = layers.Dense(width, activation="relu", name="hidden")
    if rank == 2:
        inner = [hidden]
    elif rank == 3:
        inner = [layers.GlobalAveragePooling1D(name="mean"), hidden]
    else:
        inner = [
            layers.MaxPooling2D(2, padding="same", name="pool"),
            *_convolution(width, 1),
            *_convolution(width, 2),
            layers.GlobalAveragePooling2D(name="mean"),
        ]
    return keras.Sequential([*inner, head], name="gate")


def _convolution(width: int, strides: int) -> list[Any]:
    return [
        layers.Conv2D(
            width,
            3,
            strides=strides,
            padding="same",
            use_bias=False,
            name=f"conv_{strides}",
        ),
        layers.BatchNormalization(momentum=0.9, name=f"norm_{strides}"),
        layers.ReLU(name=f"relu_{strides}"),
    ]
