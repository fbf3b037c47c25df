"""Small networks that decide from a block's input whether it should run."""

from typing import Any

import keras
from keras import layers


def default_gate(rank: int, width: int = 10) -> keras.Layer:
    """Makes a gate for inputs of a rank: one logit a sample.

    Images (rank 4) are pooled and convolved twice, sequences (rank 3) are
    averaged over time; a small dense network follows. It starts open.

    Example:

    >>> import keras
    >>> gate = default_gate(3)
    >>> gate.build((None, 6, 4))
    >>> gate.compute_output_shape((None, 6, 4))
    (None, 1)

    Args:
        rank: Number of axes of the inputs, the batch included: 2, 3 or 4.
        width: Hidden units or filters. Defaults to `10`.

    Returns:
        A model that is not built.

    Raises:
        ValueError: If no gate is known for the rank.

    Reference:
        Wang et al., "SkipNet: Learning dynamic routing in convolutional
        networks", 2018, https://arxiv.org/abs/1711.09485.
    """
    if rank not in (2, 3, 4):
        raise ValueError(
            "Argument `gate` must be a layer where inputs are neither vectors, "
            'sequences nor images: "auto" knows rank 2, 3 and 4. '
            f"Received: gate='auto' with inputs of rank {rank}"
        )
    head = layers.Dense(1, bias_initializer="ones", dtype="float32")
    if rank == 2:
        return keras.Sequential([layers.Dense(width, activation="relu"), head])
    if rank == 3:
        return keras.Sequential(
            [
                layers.GlobalAveragePooling1D(),
                layers.Dense(width, activation="relu"),
                head,
            ]
        )
    return keras.Sequential(
        [
            layers.MaxPooling2D(2, padding="same"),
            *_convolution(width, 1),
            *_convolution(width, 2),
            layers.GlobalAveragePooling2D(),
            head,
        ]
    )


def _convolution(width: int, strides: int) -> list[Any]:
    return [
        layers.Conv2D(
            width, 3, strides=strides, padding="same", use_bias=False
        ),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
    ]
